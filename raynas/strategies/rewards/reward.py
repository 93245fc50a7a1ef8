"""From what a child did to what the strategy is told: the Reward protocol. Runs on the driver, never in a
worker. Pure Python; the rewards are in raynas/rewards.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, cast, get_args

from typing_extensions import TypeVar

from raynas.child import ChildResult
from raynas.config import FrozenModel
from raynas.registry import Registry

Cost = Literal["parameters", "mult_adds", "activations", "latency_ms"]
COSTS: tuple[Cost, ...] = get_args(Cost)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a child that ended. Sizes are for one image; None is not known."""

    result: ChildResult
    parameters: int | None = None
    mult_adds: int | None = None
    activations: int | None = None

    @property
    def accuracy(self) -> float | None:
        """Of the validation images, of a stopped child the last one known; None for a child without a
        score.
        """
        return None if self.result.status in ("failed", "infeasible") else self.result.accuracy

    @property
    def latency_ms(self) -> float | None:
        """Of one forward pass, as measured in the child's worker."""
        return self.result.latency_ms

    def cost(self, name: Cost) -> float | None:
        value = getattr(self, name)
        return None if value is None else float(value)


class RewardConfig(FrozenModel):
    """Base of a reward's options; for a reward without any, the whole of them."""


RewardConfigT = TypeVar("RewardConfigT", bound=RewardConfig, default=RewardConfig, covariant=True)


class Reward(ABC, Generic[RewardConfigT]):
    """Makes one number of a child's outcome; higher is better.

    In time: when a child ends it is called with the outcome, and what it says is what the strategy observes
    and the journal records. Then `observe` takes the outcome in. A resumed run replays `observe` alone, in
    the journal's order, so a reward may depend on the outcomes before and must depend on nothing else.
    """

    Config: ClassVar[type[RewardConfig]] = RewardConfig

    def __init__(self, config: RewardConfigT | None = None) -> None:
        # A class variable can't have the class's type argument as its type, so mypy takes the cast's word.
        self.config = config if config is not None else cast(RewardConfigT, self.Config())

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What `_score` looks at besides the accuracy; a latency among them is measured for it."""
        return ()

    def missing(self, outcome: Outcome) -> tuple[Cost, ...]:
        """The costs without which this outcome can't be scored."""
        return tuple(cost for cost in self.costs if outcome.cost(cost) is None)

    def __call__(self, outcome: Outcome) -> float | None:
        """The reward; None teaches the strategy nothing: no accuracy, a cost that isn't known, or a score
        that is no finite number.
        """
        if outcome.accuracy is None or self.missing(outcome):
            return None
        score = self._score(outcome, outcome.accuracy)
        return score if score is not None and math.isfinite(score) else None

    def observe(self, outcome: Outcome) -> None:
        """A child has ended; called once for each, infeasible ones left out."""

    @abstractmethod
    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        """The reward of an outcome whose accuracy and `costs` are known."""


REWARDS: Registry[Reward] = Registry(
    "reward",
    Reward,
    "raynas.strategies.rewards",
    section="reward",
    config_of=lambda reward: reward.Config,
)
register_reward = REWARDS.register


def make_reward(name: str, **options: Any) -> Reward:
    """The reward registered as `name`, or the class that 'package.module:ClassName' points at, with its
    options.
    """
    cls, config = REWARDS.configured(name, options)
    return cls(config)
