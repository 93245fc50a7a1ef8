"""The Strategy protocol: how architectures are chosen. Pure Python; the strategies are beside this file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from typing_extensions import TypeVar

from raynas.cells.space import Actions, SearchSpace
from raynas.config import FrozenModel
from raynas.registry import Registry, naming_own_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Proposal:
    """An architecture that a strategy wants to be tried."""

    id: int
    """Number of the proposal, counted from 0."""
    actions: Actions
    """Index of the choice that was made, for each decision of the search space."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What the strategy needs back with the reward, such as PPO's log-probabilities; it must survive JSON."""


class StrategyConfig(FrozenModel):
    """Base of a strategy's options. A strategy without options uses this class itself."""


# Covariant, since a config is only read: a Strategy[PPOConfig] is accepted wherever a Strategy is. The
# default allows a subclass to omit the type argument.
StrategyConfigT = TypeVar("StrategyConfigT", bound=StrategyConfig, default=StrategyConfig, covariant=True)


class Strategy(ABC, Generic[StrategyConfigT]):
    """Chooses architectures and learns from their rewards.

    A run calls `propose` whenever a worker is free, and `observe` once for each proposal, in the order in
    which the children finish; a child without a score is observed with None:

        propose() -> 0, propose() -> 1, observe(1, ...), propose() -> 2, observe(0, ...), ...

    A resumed run restores the strategy by replaying these events: it calls `adopt` with each recorded
    proposal where the original run called `propose`, and `observe` as before. For this to be exact, the state
    may depend on nothing but the space, the options, the seed and the order of the events, and the randomness
    of a proposal on nothing but the seed and the proposal's id.

    A subclass implements `_draw` and `_learn`, and may name the class of its options:

        class MyConfig(StrategyConfig):
            population: int = 10

        @register_strategy("mine")
        class Mine(Strategy[MyConfig]):
            Config = MyConfig

            def _draw(self, proposal_id):
                rng = random.Random(f"{self.seed}/{proposal_id}")
                return tuple(rng.randrange(len(d.choices)) for d in self.space.decisions), {}

            def _learn(self, proposal, reward):
                return None

    `raynas.testing.check_strategy` tests all of this.
    """

    Config: ClassVar[type[StrategyConfig]] = StrategyConfig
    """Class of the options; the command line sets them with `--set strategy.NAME=VALUE`."""

    def __init__(self, space: SearchSpace, config: StrategyConfigT, *, seed: int) -> None:
        self.space = space
        self.config = config
        self.seed = seed
        self._next_id = 0
        self._pending: set[int] = set()

    def propose(self) -> Proposal:
        """Draws the next proposal."""
        actions, info = self._draw(self._next_id)
        proposal = Proposal(self._next_id, actions, info)
        # By the same way as in a replay, so that both leave the same state.
        self.adopt(proposal)
        return proposal

    def adopt(self, proposal: Proposal) -> None:
        """Takes over a recorded proposal, as if it had just been drawn."""
        self._next_id = max(self._next_id, proposal.id + 1)
        self._pending.add(proposal.id)

    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        """Learns from one reward.

        Args:
            reward: higher is better; None, NaN and infinity are ignored, as is a second reward for the same
                proposal.
        Returns:
            Statistics of the policy update that this reward completed, or None if it completed none.
        """
        # Results are delivered at least once: Ray Tune may hand in the end of a trial again after it was
        # restored.
        if proposal.id not in self._pending:
            return None
        self._pending.discard(proposal.id)
        if reward is None or not math.isfinite(reward):
            return None
        return self._learn(proposal, reward)

    def learned(self) -> Mapping[str, Array] | None:
        """What took long to learn, as arrays that `recall` accepts.

        None means that a replay is fast enough without them.
        """
        return None

    def recall(self, learned: Mapping[str, Array]) -> int:
        """Accepts the arrays of an earlier `learned`, so that a replay needn't learn them again.

        Called before the replay. The replay skips updates until the event after which `learned` was called,
        and takes on the arrays there; the final state is the same as without them.

        Returns:
            Number of updates that the replay will skip.
        Raises:
            ValueError: the arrays don't belong to such a strategy; the strategy is unchanged.
        """
        raise ValueError(f"{type(self).__name__} recalls nothing")

    @property
    def is_behind(self) -> bool:
        """Whether the replay hasn't yet reached the event at which recalled arrays take effect."""
        return False

    @abstractmethod
    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        """Actions and info of the next proposal; all randomness must come from (self.seed, proposal_id)."""

    @abstractmethod
    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        """Learns from one finite reward; returns statistics if that completed an update, or else None."""


STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    Strategy,
    "raynas.strategies",
    section="strategy",
    config_of=lambda strategy: strategy.Config,
)
register_strategy = STRATEGIES.register


def make_strategy(name: str, space: SearchSpace, *, seed: int, **options: Any) -> Strategy:
    """The strategy registered as `name`, or the class that 'package.module:ClassName' points at."""
    cls, config = STRATEGIES.configured(name, options)
    with naming_own_class("__init__", cls, space):
        return cls(space, config, seed=seed)
