"""Several strategies on one table, with many seeds each, in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from raynas.errors import SearchFailed, UsageError
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.simulate import EqualCellsPolicy, Improvement, SimulatedRun, simulate
from raynas.programs.benchmark.table import Table
from raynas.strategies.strategy import STRATEGIES

SEEDS_PER_TASK = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """One strategy, one seed."""

    label: str
    seed: int
    run: SimulatedRun
    seconds: float
    """Processor time that it really took."""

    @property
    def best(self) -> Improvement:
        """What the search found; SearchFailed if it found nothing."""
        if self.run.best is None:
            raise SearchFailed(
                f"{self.label}, seed {self.seed}: no child finished; {self.run.num_absent:,} proposals are "
                "not in the table. It holds too few architectures of that search space."
            )
        return self.run.best


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all: see `simulate`."""

    budget: float
    workers: int = 1
    children: int | None = None
    equal_cells: EqualCellsPolicy = "retrain"


def benchmark(
    contenders: Sequence[Contender],
    table: Table,
    setting: Setting,
    *,
    seeds: Sequence[int],
    processes: int | None = 1,
    on_progress: Callable[[int], object] = lambda num_done: None,
) -> list[Outcome]:
    """Every contender with every seed.

    Args:
        processes: real ones, not the simulated workers; 1 is this process alone, None one for each CPU. More
            than one start anew, so a script that calls this needs its `if __name__ == "__main__"`.
        on_progress: is told how many runs are done.
    Returns:
        In the order of contenders and seeds, however many processes there are.
    Raises:
        UsageError: an unknown strategy or option, a label that is there twice, or a budget in which the
            table's dearest child doesn't finish: a run might end without a result.
    """
    _check(contenders, table, setting.budget)
    tasks = [
        (contender, seeds[start : start + SEEDS_PER_TASK])
        for start in range(0, len(seeds), SEEDS_PER_TASK)
        for contender in contenders
    ]
    processes = num_cpus() if processes is None else processes
    outcomes: list[Outcome] = []
    for done in _done(tasks, table, setting, min(processes, len(tasks))):
        outcomes += done
        on_progress(len(outcomes))
    places = {contender.label: place for place, contender in enumerate(contenders)}
    return sorted(outcomes, key=lambda outcome: (places[outcome.label], seeds.index(outcome.seed)))


def num_cpus() -> int:
    """That this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_Task = tuple[Contender, Sequence[int]]


def _check(contenders: Sequence[Contender], table: Table, budget: float) -> None:
    labels = [contender.label for contender in contenders]
    for contender in contenders:
        if labels.count(contender.label) > 1:
            raise UsageError(
                f"the strategy {contender.label!r} is there {labels.count(contender.label)} times. "
                f"Write LABEL={contender.strategy} to give each its own label."
            )
        contender.resolved_options()
    if budget < table.dearest:
        raise UsageError(
            f"a budget of {budget:g} simulated seconds is less than the table's dearest child takes: "
            f"{table.dearest:g}. A run might end without any child: give more."
        )


def _done(tasks: Sequence[_Task], table: Table, setting: Setting, processes: int) -> Iterator[list[Outcome]]:
    if processes <= 1:
        with threadpool_limits(1):
            for contender, seeds in tasks:
                yield _run_task(contender, seeds, table, setting)
        return
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _prepare_process, (table, setting)
    )
    try:
        futures = [pool.submit(_run_task_here, *task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_shared: tuple[Table, Setting] | None = None
"""Of a process of the pool: sent once, not with each task."""


def _prepare_process(table: Table, setting: Setting) -> None:
    global _shared
    _shared = table, setting
    # Libraries first: a limit holds for those that are loaded.
    STRATEGIES.names()
    threadpool_limits(1)


def _run_task_here(contender: Contender, seeds: Sequence[int]) -> list[Outcome]:
    assert _shared is not None
    return _run_task(contender, seeds, *_shared)


def _run_task(contender: Contender, seeds: Sequence[int], table: Table, setting: Setting) -> list[Outcome]:
    return [_run_seed(contender, seed, table, setting) for seed in seeds]


def _run_seed(contender: Contender, seed: int, table: Table, setting: Setting) -> Outcome:
    began = time.process_time()
    run = simulate(
        contender.make(table.space, seed=seed),
        table,
        budget=setting.budget,
        workers=setting.workers,
        children=setting.children,
        equal_cells=setting.equal_cells,
    )
    return Outcome(contender.label, seed, run, time.process_time() - began)
