"""Accuracy times a factor for each cost that has a target.

Source: Tan et al. 2019, "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv 1807.11626),
eq. 2 and 3: ACC * (cost / target) ** w, with w = alpha up to the target and beta beyond it. There the cost is
the latency; several costs multiply, which is ours.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from raynas.strategies.rewards.reward import COSTS, Cost, Outcome, Reward, RewardConfig, register_reward


class MnasNetConfig(RewardConfig):
    """Targets, of which one at least is set, and how strict they are."""

    parameters: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Weights that a network may have."""
    mult_adds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Multiply-adds, for one image."""
    activations: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Numbers that convolutions give out, for one image."""
    latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Milliseconds of a forward pass, measured as `latency` says."""
    alpha: float = Field(-0.07, le=0, allow_inf_nan=False)
    """Exponent up to the target: -0.07 rewards what is cheaper still, 0 doesn't."""
    beta: float = Field(-0.07, le=0, allow_inf_nan=False)
    """Exponent beyond the target: -0.07 is the soft constraint, -1 (with alpha 0) the hard one."""

    @model_validator(mode="after")
    def _has_a_target(self) -> MnasNetConfig:
        if not self.targets:
            raise ValueError(
                f"no target is set; set one or more of {', '.join(f'reward.{cost}' for cost in COSTS)}"
            )
        return self

    @property
    def targets(self) -> dict[Cost, float]:
        found = {cost: getattr(self, cost) for cost in COSTS}
        return {cost: target for cost, target in found.items() if target is not None}


@register_reward("mnasnet")
class MnasNet(Reward[MnasNetConfig]):
    """Accuracy with soft constraints, or hard ones."""

    Config = MnasNetConfig

    @property
    def costs(self) -> tuple[Cost, ...]:
        return tuple(self.config.targets)

    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        reward = accuracy
        for cost, target in self.config.targets.items():
            value = outcome.cost(cost)
            assert value is not None
            exponent = self.config.alpha if value <= target else self.config.beta
            if value == 0.0 and exponent < 0.0:
                # A network without weights is infinitely cheap: that is no reward.
                return None
            reward *= (value / target) ** exponent
        return reward
