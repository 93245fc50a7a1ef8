"""The Pareto front of accuracy against one cost, in place of a single best child.

The reward of a child is the hypervolume that it adds to the front of the children that ended before it. A
child that adds none gets minus its distance to the nearest place where it would (front.py names the source).
The reward depends on nothing but the order of the events, so a replay gives the same front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from raynas.strategies.rewards.front import Front, FrontPoint
from raynas.strategies.rewards.reward import Cost, Outcome, Reward, RewardConfig, register_reward

PARETO = "pareto"
"""Name under which the reward is registered."""


class ParetoConfig(RewardConfig):
    """The cost that is traded against the accuracy."""

    cost: Cost = "parameters"
    """Cost of a network; the section `latency` says how a latency is measured."""
    worst_cost: float = Field(gt=0, allow_inf_nan=False)
    """Highest cost of interest: a child that costs as much or more adds nothing to the front."""

    def point(self, outcome: Outcome) -> FrontPoint | None:
        """The point of an outcome, or None if its accuracy or its cost is unknown."""
        cost, accuracy = outcome.cost(self.cost), outcome.accuracy
        return None if cost is None or accuracy is None else (cost / self.worst_cost, accuracy)


@register_reward("pareto")
class Pareto(Reward[ParetoConfig]):
    """The improvement of the front of accuracy against a cost."""

    Config = ParetoConfig

    def __init__(self, config: ParetoConfig | None = None) -> None:
        super().__init__(config)
        self.front = Front()

    @property
    def costs(self) -> tuple[Cost, ...]:
        return (self.config.cost,)

    def observe(self, outcome: Outcome) -> None:
        # The run calls this after the reward was given, so a child is never compared with its own point.
        point = self.config.point(outcome)
        if point is not None:
            self.front.add(point)

    def _score(self, outcome: Outcome, accuracy: float) -> float:
        point = self.config.point(outcome)
        assert point is not None
        return self.front.improvement(point)


def front_of(outcomes: Iterable[Outcome], trade: ParetoConfig) -> Front:
    """The front of children that have ended, in any order."""
    points = (trade.point(outcome) for outcome in outcomes)
    return Front(point for point in points if point is not None)


def recorded_trade(config: Mapping[str, Any]) -> ParetoConfig | None:
    """The trade-off of a run with this recorded config, or None if its reward isn't 'pareto'."""
    reward = config.get("reward")
    if not isinstance(reward, Mapping) or reward.get("name") != PARETO:
        return None
    try:
        return ParetoConfig.model_validate({key: value for key, value in reward.items() if key != "name"})
    except ValidationError:
        # The journal was changed by hand. Its children can still be ranked by their rewards.
        return None
