"""Simulates a search: children are looked up in a table, on a simulated clock. Pure Python.

A child occupies a free worker from the moment it is proposed until its recorded seconds are over; then the
strategy observes its score. Several workers therefore report children in the order in which they finish, as
real ones do. Children that don't finish within the budget don't count.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from raynas.programs.benchmark.table import ArchTable, Row
from raynas.run.failures import MAX_REFUSALS_IN_A_ROW
from raynas.strategies.strategy import Proposal, Strategy

EqualCellsPolicy = Literal["retrain", "reuse"]


@dataclass(frozen=True, slots=True)
class Improvement:
    """A child whose signal was higher than that of all children finished before it."""

    time: float
    """Simulated seconds from the start of the search to the end of the child."""
    child: int
    """Number of children finished by then, this one included."""
    signal: float
    result: float
    name: str
    """What the table calls its architecture."""


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """Result of one simulated search."""

    trajectory: tuple[Improvement, ...]
    """Every new best child by signal, in order of time; empty if no child finished."""
    num_children: int
    """Number of children that finished within the budget, without reused scores."""
    num_distinct: int
    """Number of different architectures among these."""
    num_reused: int
    """Number of proposals that got the score of an equal child, at no cost."""
    num_absent: int
    """Number of proposals that the table lacks; they cost nothing and teach nothing."""
    seconds: float
    """Simulated seconds of training, summed over the children that finished."""
    is_exhausted: bool
    """Whether the search ended early because the strategy proposed nothing more that had to be trained."""
    budget: float
    """Simulated seconds after which it ended, at the latest."""

    @property
    def best(self) -> Improvement | None:
        """The best child by signal, or None if no child finished."""
        return self.trajectory[-1] if self.trajectory else None

    def best_at(self, time: float) -> Improvement | None:
        """The best child by signal among those finished by simulated second `time`."""
        place = bisect.bisect_right(self.trajectory, time, key=lambda improvement: improvement.time)
        return self.trajectory[place - 1] if place else None


def simulate(
    strategy: Strategy,
    table: ArchTable,
    *,
    budget: float,
    workers: int = 1,
    children: int | None = None,
    equal_cells: EqualCellsPolicy = "retrain",
) -> SimulatedRun:
    """Lets `strategy` search `table` for `budget` simulated seconds.

    Args:
        strategy: a new one, for the table's space.
        children: maximum number of children; None means that only the budget ends the search.
        equal_cells: 'retrain' charges for every proposal, as NATS-Bench does (Dong et al. 2021, arXiv
            2009.00437). 'reuse' gives a proposal the score of an equal child at no simulated cost; if that
            child is still being trained, the proposal waits for it.
    """
    runs = simulate_budgets(
        strategy, table, budgets=[budget], workers=workers, children=children, equal_cells=equal_cells
    )
    return next(runs)


def simulate_budgets(
    strategy: Strategy,
    table: ArchTable,
    *,
    budgets: Sequence[float],
    workers: int = 1,
    children: int | None = None,
    equal_cells: EqualCellsPolicy = "retrain",
) -> Iterator[SimulatedRun]:
    """One search as it stands at the end of each budget, the smallest first; arguments as in `simulate`.

    A search doesn't know its budget, so each of them is what `simulate` gives for that budget.
    """
    if min(budgets) <= 0 or workers < 1:
        raise ValueError(f"budgets {budgets} and workers {workers} must be above 0")
    simulation = _Simulation(strategy, table, workers, children, equal_cells == "reuse")
    simulation.start_children()
    for budget in sorted(budgets):
        while simulation.running and simulation.running[0].ends_at <= budget:
            simulation.finish(heapq.heappop(simulation.running))
            simulation.start_children()
        yield simulation.run(budget)


@dataclass(frozen=True, slots=True, order=True)
class _Running:
    """A child on a worker, ordered by when it ends."""

    ends_at: float
    id: int
    proposal: Proposal = field(compare=False)
    row: Row = field(compare=False)


@dataclass(slots=True)
class _Simulation:
    strategy: Strategy
    table: ArchTable
    workers: int
    max_children: int | None
    reuses: bool
    now: float = 0.0
    running: list[_Running] = field(default_factory=list)
    """Heap, the child that ends first on top."""
    trajectory: list[Improvement] = field(default_factory=list)
    seconds: float = 0.0
    num_started: int = 0
    num_children: int = 0
    num_reused: int = 0
    num_absent: int = 0
    scored: set[int] = field(default_factory=set)
    """Rows whose child has finished."""
    waiting: dict[int, list[Proposal]] = field(default_factory=dict)
    """Proposals that wait for the score of an equal child, by the row that is being trained."""

    def start_children(self) -> None:
        """Fills the free workers.

        Stops after too many proposals in a row that need no worker: a strategy that only repeats itself, or
        proposes what the table lacks, would otherwise be asked forever.
        """
        num_free = 0
        while len(self.running) < self.workers and self._may_start and num_free < MAX_REFUSALS_IN_A_ROW:
            proposal = self.strategy.propose()
            row = self.table.find(proposal.actions)
            if row is None:
                self.num_absent += 1
                self.strategy.observe(proposal, None)
                num_free += 1
            elif self.reuses and self._is_known(proposal, row):
                self.num_reused += 1
                num_free += 1
            else:
                heapq.heappush(self.running, _Running(self.now + row.cost, proposal.id, proposal, row))
                self.num_started += 1
                num_free = 0

    @property
    def _may_start(self) -> bool:
        return self.max_children is None or self.num_started < self.max_children

    def _is_known(self, proposal: Proposal, row: Row) -> bool:
        """Whether the row has been trained, or is being trained, so that the proposal gets its score."""
        if row.index in self.scored:
            self.strategy.observe(proposal, row.signal)
        elif row.index in self.waiting:
            self.waiting[row.index].append(proposal)
        else:
            self.waiting[row.index] = []
            return False
        return True

    def finish(self, child: _Running) -> None:
        row, self.now = child.row, child.ends_at
        self.num_children += 1
        self.seconds += row.cost
        self.scored.add(row.index)
        if not self.trajectory or row.signal > self.trajectory[-1].signal:
            best = Improvement(self.now, self.num_children, row.signal, row.result, row.name)
            self.trajectory.append(best)
        for proposal in (child.proposal, *self.waiting.pop(row.index, ())):
            self.strategy.observe(proposal, row.signal)

    def run(self, budget: float) -> SimulatedRun:
        return SimulatedRun(
            trajectory=tuple(self.trajectory),
            num_children=self.num_children,
            num_distinct=len(self.scored),
            num_reused=self.num_reused,
            num_absent=self.num_absent,
            seconds=self.seconds,
            is_exhausted=not self.running and self._may_start,
            budget=budget,
        )
