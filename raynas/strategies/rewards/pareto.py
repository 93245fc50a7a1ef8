"""The front of accuracy against one cost, instead of a best child.

The reward of a child is what it adds to the front of those that ended before it: the hypervolume, or, if it
adds none, minus its distance to where it would (front.py has the source). It depends on the order of the
events alone, so a replay gives the same front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from raynas.strategies.rewards.front import Front, Point
from raynas.strategies.rewards.reward import Cost, Outcome, Reward, RewardConfig, register_reward

NAME = "pareto"


class ParetoConfig(RewardConfig):
    """What is traded against the accuracy."""

    cost: Cost = "parameters"
    """Of a child's network; a latency is measured as `latency` says."""
    worst_cost: float = Field(gt=0, allow_inf_nan=False)
    """Where a cost stops being of interest: a child as costly as this adds nothing to the front."""

    def point(self, outcome: Outcome) -> Point | None:
        """Where an outcome lies; None if its accuracy or its cost isn't known."""
        cost, accuracy = outcome.cost(self.cost), outcome.accuracy
        return None if cost is None or accuracy is None else (cost / self.worst_cost, accuracy)


@register_reward(NAME)
class Pareto(Reward[ParetoConfig]):
    """What a child adds to the front of accuracy against a cost."""

    Config = ParetoConfig

    def __init__(self, config: ParetoConfig | None = None) -> None:
        super().__init__(config)
        self.front = Front()

    @property
    def costs(self) -> tuple[Cost, ...]:
        return (self.config.cost,)

    def observe(self, outcome: Outcome) -> None:
        point = self.config.point(outcome)
        if point is not None:
            self.front.add(point)

    def _score(self, outcome: Outcome, accuracy: float) -> float:
        point = self.config.point(outcome)
        assert point is not None
        return self.front.improvement(point)


def front_of(outcomes: Iterable[Outcome], trade: ParetoConfig) -> Front:
    """Of children that ended, in whatever order."""
    points = (trade.point(outcome) for outcome in outcomes)
    return Front(point for point in points if point is not None)


def recorded_trade(config: Mapping[str, Any]) -> ParetoConfig | None:
    """What a run with this recorded config trades; None: its reward is another one."""
    reward = config.get("reward")
    if not isinstance(reward, Mapping) or reward.get("name") != NAME:
        return None
    try:
        return ParetoConfig.model_validate({key: value for key, value in reward.items() if key != "name"})
    except ValidationError:
        # A journal changed by hand; its children can be ranked by their rewards all the same.
        return None
