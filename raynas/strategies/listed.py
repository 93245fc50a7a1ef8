"""A fixed list of architectures in place of a search, as promotion needs it.

The strategy has no registered name, since it is useless without a list.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.errors import InvalidConfig
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig


class ListedConfig(StrategyConfig):
    """The list of architectures."""

    architectures: tuple[tuple[int, ...], ...] = Field(min_length=1)
    """Actions of each architecture in the run's search space."""


class Listed(Strategy[ListedConfig]):
    """Proposes its list in order, and starts over at the end; every child has a seed of its own."""

    Config = ListedConfig

    def __init__(self, space: SearchSpace, config: ListedConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        # All are checked at the start: a promotion must not fail on the last one after hours.
        for actions in config.architectures:
            try:
                space.decode(actions)
            except ValueError as error:
                raise InvalidConfig(
                    f"strategy.architectures: {list(actions)[:20]} is not in this search space: {error}."
                ) from error

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        architectures = self.config.architectures
        return architectures[proposal_id % len(architectures)], {}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        return None
