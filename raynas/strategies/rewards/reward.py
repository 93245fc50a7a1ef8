"""The Reward protocol: how the outcome of a child becomes the number that a strategy observes.

Rewards are computed on the driver, never in a worker. Pure Python; each reward has a file beside this one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, cast, get_args

from typing_extensions import TypeVar

from raynas.child import ChildResult
from raynas.config import FrozenModel
from raynas.registry import Registry, naming_own_class

Cost = Literal["parameters", "mult_adds", "activations", "latency_ms"]
COSTS: tuple[Cost, ...] = get_args(Cost)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known about a child that has ended. None means unknown."""

    result: ChildResult
    parameters: int | None = None
    """Number of weights."""
    mult_adds: int | None = None
    """Multiply-adds of a forward pass of one image."""
    activations: int | None = None
    """Number of outputs of all convolutions, for one image."""

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy, a fraction; None for a child without a score. A stopped child has its last."""
        return None if self.result.status in ("failed", "infeasible") else self.result.accuracy

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds of a forward pass, as measured in the child's worker."""
        return self.result.latency_ms

    def cost(self, name: Cost) -> float | None:
        """The cost called `name`, or None if it is unknown."""
        value = getattr(self, name)
        return None if value is None else float(value)


class RewardConfig(FrozenModel):
    """Base of a reward's options. A reward without options uses this class itself."""


RewardConfigT = TypeVar("RewardConfigT", bound=RewardConfig, default=RewardConfig, covariant=True)


class Reward(ABC, Generic[RewardConfigT]):
    """Turns the outcome of a child into one number; higher is better.

    When a child ends, the run calls the reward with the outcome; the strategy observes the returned value,
    and the journal records it. Then the run calls `observe` with the same outcome. A resumed run replays only
    the calls of `observe`, in the journal's order. A reward may therefore depend on the outcomes observed
    before, but on nothing else.

    A subclass implements `_score`, and names the costs that it needs besides the accuracy:

        class Small(Reward):
            costs = ("parameters",)

            def _score(self, outcome, accuracy):
                return accuracy - outcome.parameters / 1e8

    `raynas.testing.check_reward` tests all of this.
    """

    Config: ClassVar[type[RewardConfig]] = RewardConfig
    """Class of the options; the command line sets them with `--set reward.NAME=VALUE`."""

    def __init__(self, config: RewardConfigT | None = None) -> None:
        # The type of a class variable can't contain the class's type argument, hence the cast.
        self.config = config if config is not None else cast(RewardConfigT, self.Config())

    @property
    def costs(self) -> tuple[Cost, ...]:
        """Costs that `_score` uses besides the accuracy. Naming the latency causes it to be measured."""
        return ()

    def missing(self, outcome: Outcome) -> tuple[Cost, ...]:
        """The required costs that are unknown for this outcome."""
        return tuple(cost for cost in self.costs if outcome.cost(cost) is None)

    def __call__(self, outcome: Outcome) -> float | None:
        """The reward of an outcome.

        None, from which a strategy learns nothing, means that the accuracy or a required cost is unknown or
        that the score is not a finite number.
        """
        # Not every child has what the reward needs: a failed one has no accuracy, and a size may not have
        # been measured.
        if outcome.accuracy is None or self.missing(outcome):
            return None
        score = self._score(outcome, outcome.accuracy)
        return score if score is not None and math.isfinite(score) else None

    def observe(self, outcome: Outcome) -> None:
        """Takes note of an outcome; called once for each child that has ended, except infeasible ones."""

    @abstractmethod
    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        """The reward of an outcome whose accuracy and `costs` are all known."""


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
    with naming_own_class("__init__", cls):
        return cls(config)
