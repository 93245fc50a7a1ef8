"""A table of the whole NAS-Bench-201 space by formula, and a strategy that follows a script."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from raynas.cells.space import Actions
from raynas.programs.benchmark import ArchTable, Row
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig
from search_spaces.nasbench201 import NASBench201Space

SPACE = NASBench201Space()


def actions_of(number: int) -> Actions:
    """The `number`-th architecture of the space."""
    digits = []
    for _ in range(6):
        number, digit = divmod(number, 5)
        digits.append(digit)
    return tuple(digits)


def table_of(
    costs: Sequence[float],
    *,
    signal: Callable[[int], float] = lambda number: number / 100,
    result: Callable[[int], float] = lambda number: number / 200,
) -> ArchTable:
    """The first architectures of the space, with these costs."""
    rows = {}
    for number, cost in enumerate(costs):
        name = SPACE.to_text(SPACE.decode(actions_of(number)))
        rows[name] = Row(number, name, signal(number), result(number), cost)
    return ArchTable(SPACE, "text", rows)


class Scripted(Strategy):
    """Proposes the architectures of these numbers, over and over, and remembers what happened."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(SPACE, StrategyConfig(), seed=0)
        self.numbers = numbers
        self.events: list[tuple[str, int]] = []
        self.rewards: dict[int, float | None] = {}

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        self.events.append(("proposed", proposal_id))
        return actions_of(next(itertools.islice(itertools.cycle(self.numbers), proposal_id, None))), {}

    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        self.events.append(("observed", proposal.id))
        self.rewards[proposal.id] = reward
        return super().observe(proposal, reward)

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        return None
