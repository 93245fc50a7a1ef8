"""A search on a simulated clock: W workers, each child looked up in a table. Pure Python.

A child takes a free worker at the moment it is proposed, and the strategy is told of it when its seconds are
over: with several workers in the order in which children finish, as from real ones. What is not finished
within the budget does not count.
"""

from __future__ import annotations

import bisect
import heapq
from dataclasses import dataclass, field
from typing import Literal

from raynas.programs.benchmark.table import Row, Table
from raynas.run.failures import MAX_REFUSALS_IN_A_ROW
from raynas.strategies.strategy import Proposal, Strategy

EqualCellsPolicy = Literal["retrain", "reuse"]


@dataclass(frozen=True, slots=True)
class Improvement:
    """A child that was better than all that had finished before it."""

    time: float
    """Simulated seconds since the search began."""
    child: int
    """Children that had finished by then, this one among them."""
    signal: float
    result: float
    name: str
    """What the table calls its architecture."""


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """What one search came to."""

    trajectory: tuple[Improvement, ...]
    """The best child by signal at each time; empty if none finished."""
    num_children: int
    """Finished within the budget; reused scores are not among them."""
    num_distinct: int
    """Architectures among those."""
    num_reused: int
    """Proposals that got the score of an equal child, at no cost."""
    num_absent: int
    """Proposals that the table doesn't know: they cost nothing and teach nothing."""
    seconds: float
    """Simulated, of training, summed over the children that finished."""
    is_exhausted: bool
    """Whether it ended before its time, since the strategy proposed nothing more that had to be trained."""

    @property
    def best(self) -> Improvement | None:
        return self.trajectory[-1] if self.trajectory else None

    def best_at(self, time: float) -> Improvement | None:
        """The best child by signal among those finished at simulated second `time`."""
        place = bisect.bisect_right(self.trajectory, time, key=lambda improvement: improvement.time)
        return self.trajectory[place - 1] if place else None


def simulate(
    strategy: Strategy,
    table: Table,
    *,
    budget: float,
    workers: int = 1,
    children: int | None = None,
    equal_cells: EqualCellsPolicy = "retrain",
) -> SimulatedRun:
    """Lets `strategy` search `table` for `budget` simulated seconds.

    Args:
        strategy: new, on the table's space.
        children: the search ends after so many, if that is before the budget is spent.
        equal_cells: 'retrain' charges for every proposal, as NATS-Bench does (Dong et al. 2021, arXiv
            2009.00437); 'reuse' gives one that was trained before its score, at no simulated cost, and lets
            one that is being trained wait for it.
    """
    if budget <= 0 or workers < 1:
        raise ValueError(f"budget {budget} and workers {workers} must be above 0")
    simulation = _Simulation(strategy, table, workers, children, equal_cells == "reuse")
    simulation.start_children()
    while simulation.running and simulation.running[0].ends_at <= budget:
        simulation.finish(heapq.heappop(simulation.running))
        simulation.start_children()
    return simulation.outcome()


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
    table: Table
    workers: int
    max_children: int | None
    reuses: bool
    now: float = 0.0
    running: list[_Running] = field(default_factory=list)
    """A heap."""
    trajectory: list[Improvement] = field(default_factory=list)
    seconds: float = 0.0
    num_started: int = 0
    num_children: int = 0
    num_reused: int = 0
    num_absent: int = 0
    scored: set[int] = field(default_factory=set)
    """Rows whose child has finished."""
    waiting: dict[int, list[Proposal]] = field(default_factory=dict)
    """By the row that is being trained: equal proposals that get its score."""

    def start_children(self) -> None:
        """Fills the free workers; gives up for now after too many proposals in a row that need none."""
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
        """Whether the row's score does for the proposal, now or later."""
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

    def outcome(self) -> SimulatedRun:
        return SimulatedRun(
            trajectory=tuple(self.trajectory),
            num_children=self.num_children,
            num_distinct=len(self.scored),
            num_reused=self.num_reused,
            num_absent=self.num_absent,
            seconds=self.seconds,
            is_exhausted=not self.running and self._may_start,
        )
