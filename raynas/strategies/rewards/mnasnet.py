"""Accuracy, multiplied by a factor for each cost that has a target.

Source: Tan et al. 2019, "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv 1807.11626),
eq. 2 and 3: accuracy * (cost / target) ** w, with w = alpha up to the target and w = beta beyond it. The
paper has one cost, the latency; multiplying the factors of several costs is our extension.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from raynas.strategies.rewards.reward import COSTS, Cost, Outcome, Reward, RewardConfig, register_reward


class MnasNetConfig(RewardConfig):
    """Targets, at least one of which must be set, and how strict they are."""

    parameters: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Target for the number of weights."""
    mult_adds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Target for the multiply-adds of one image."""
    activations: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Target for the number of outputs of all convolutions, for one image."""
    latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Target for the milliseconds of a forward pass; the section `latency` says how they are measured."""
    alpha: float = Field(-0.07, le=0, allow_inf_nan=False)
    """Exponent up to the target: -0.07 rewards networks that are cheaper than the target, 0 doesn't."""
    beta: float = Field(-0.07, le=0, allow_inf_nan=False)
    """Exponent beyond the target: -0.07 is the paper's soft constraint; -1, with alpha 0, its hard one."""

    @model_validator(mode="after")
    def _has_a_target(self) -> MnasNetConfig:
        if not self.targets:
            raise ValueError(
                f"no target is set; set one or more of {', '.join(f'reward.{cost}' for cost in COSTS)}"
            )
        return self

    @property
    def targets(self) -> dict[Cost, float]:
        """The targets that are set, by cost."""
        found = {cost: getattr(self, cost) for cost in COSTS}
        return {cost: target for cost, target in found.items() if target is not None}


@register_reward("mnasnet")
class MnasNet(Reward[MnasNetConfig]):
    """Accuracy with soft or hard constraints on costs."""

    Config = MnasNetConfig

    @property
    def costs(self) -> tuple[Cost, ...]:
        return tuple(self.config.targets)

    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        reward = accuracy
        for cost, target in self.config.targets.items():
            value = outcome.cost(cost)
            # `Reward.__call__` has sorted out the outcomes of which a required cost is unknown.
            assert value is not None
            exponent = self.config.alpha if value <= target else self.config.beta
            if value == 0.0 and exponent < 0.0:
                # A network without weights would be infinitely good.
                return None
            reward *= (value / target) ** exponent
        return reward
