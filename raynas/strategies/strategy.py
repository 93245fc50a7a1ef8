"""How architectures are chosen: the Strategy protocol. Pure Python; the strategies are in
raynas/strategies.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from typing_extensions import TypeVar

from raynas.cells.space import Actions, SearchSpace
from raynas.config import FrozenModel
from raynas.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a strategy wants tried.

    `id` counts proposals from 0. `info` is what the strategy needs back when the reward is known (for PPO the
    log-probabilities of the policy that drew the actions); it survives JSON.
    """

    id: int
    actions: Actions
    info: Mapping[str, Any] = field(default_factory=dict)


class StrategyConfig(FrozenModel):
    """Base of a strategy's options; for a strategy without any, the whole of them."""


# Covariant, for a config is only read: a Strategy[PPOConfig] goes wherever a Strategy does. The default lets
# a subclass leave the type argument out.
StrategyConfigT = TypeVar("StrategyConfigT", bound=StrategyConfig, default=StrategyConfig, covariant=True)


class Strategy(ABC, Generic[StrategyConfigT]):
    """Chooses architectures and learns from their rewards.

    In time: `propose` as often as there are free workers; `observe` once for each proposal, in whatever
    order they finish, with None for a child that gave no score. A proposal's random draw depends on (seed,
    id) alone, so the state is a function of the space, the options, the seed and the order of the events:
    `adopt` in place of `propose`, with the proposals as recorded, and `observe` restore it exactly.
    """

    Config: ClassVar[type[StrategyConfig]] = StrategyConfig

    def __init__(self, space: SearchSpace, config: StrategyConfigT, *, seed: int) -> None:
        self.space = space
        self.config = config
        self.seed = seed
        self._next_id = 0
        self._pending: set[int] = set()

    def propose(self) -> Proposal:
        actions, info = self._draw(self._next_id)
        proposal = Proposal(self._next_id, actions, info)
        self.adopt(proposal)
        return proposal

    def adopt(self, proposal: Proposal) -> None:
        """Takes a recorded proposal as its own, in place of drawing one."""
        self._next_id = max(self._next_id, proposal.id + 1)
        self._pending.add(proposal.id)

    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        """Learns from one reward.

        Args:
            reward: higher is better; None, NaN and infinity teach nothing. A second reward for the same
                proposal is ignored.
        Returns:
            Statistics of the update that this reward completed, or None if it completed none.
        """
        if proposal.id not in self._pending:
            return None
        self._pending.discard(proposal.id)
        if reward is None or not math.isfinite(reward):
            return None
        return self._learn(proposal, reward)

    def learned(self) -> Mapping[str, Array] | None:
        """What took long to learn, as arrays; None: nothing did, a replay is quick enough."""
        return None

    def recall(self, learned: Mapping[str, Array]) -> int:
        """Takes what a strategy of the same run had learned, so that a replay need not learn it again.

        Before the replay, which must reach the event after which `learned` was called; the state at its end
        is the same as without.

        Returns:
            How many updates it saves.
        Raises:
            ValueError: it is not of such a strategy, and nothing was taken.
        """
        raise ValueError(f"{type(self).__name__} recalls nothing")

    @property
    def is_behind(self) -> bool:
        """Whether the events so far don't reach what was recalled."""
        return False

    @abstractmethod
    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        """Actions and info of the next proposal; all randomness from (self.seed, proposal_id)."""

    @abstractmethod
    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        """Takes in one finite reward."""


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
    return cls(space, config, seed=seed)
