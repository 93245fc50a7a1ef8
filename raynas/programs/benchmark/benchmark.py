"""Runs several strategies on one table, with many seeds each, in parallel processes."""

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
from raynas.programs.benchmark.table import ArchTable
from raynas.strategies.strategy import STRATEGIES

SEEDS_PER_TASK = 5


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The search of one strategy with one seed."""

    label: str
    """Label of the contender."""
    seed: int
    run: SimulatedRun
    seconds: float
    """Real processor time of the simulation."""

    @property
    def best(self) -> Improvement:
        """The best child by signal.

        Raises:
            SearchFailed: no child finished.
        """
        if self.run.best is None:
            raise SearchFailed(
                f"{self.label}, seed {self.seed}: no child finished; {self.run.num_absent:,} proposals are "
                "not in the table. It holds too few architectures of this search space."
            )
        return self.run.best


@dataclass(frozen=True, slots=True)
class BenchmarkSetting:
    """What all searches of a benchmark have in common; `simulate` describes the fields."""

    budget: float
    """Simulated seconds."""
    workers: int = 1
    """Simulated workers."""
    children: int | None = None
    equal_cells: EqualCellsPolicy = "retrain"


def benchmark(
    contenders: Sequence[Contender],
    table: ArchTable,
    setting: BenchmarkSetting,
    *,
    seeds: Sequence[int],
    processes: int | None = 1,
    on_progress: Callable[[int], object] = lambda num_done: None,
) -> list[SeedResult]:
    """Runs every contender with every seed.

    Args:
        processes: number of processes (not of simulated workers): 1 stays in this process, None starts one
            per CPU. New processes are spawned, so a script that asks for several must guard its call with
            `if __name__ == "__main__"`.
        on_progress: called with the number of finished runs.
    Returns:
        Results in the order of contenders and seeds, whatever the number of processes.
    Raises:
        UsageError: a strategy or option is unknown, a label occurs twice, or the table's most expensive
            child doesn't fit into the budget, so that a run might end without a result.
    """
    _check(contenders, table, setting.budget)
    tasks = [
        (contender, seeds[start : start + SEEDS_PER_TASK])
        for start in range(0, len(seeds), SEEDS_PER_TASK)
        for contender in contenders
    ]
    processes = num_cpus() if processes is None else processes
    seed_results: list[SeedResult] = []
    for done in _results_as_completed(tasks, table, setting, min(processes, len(tasks))):
        seed_results += done
        on_progress(len(seed_results))
    places = {contender.label: place for place, contender in enumerate(contenders)}
    return sorted(seed_results, key=lambda result: (places[result.label], seeds.index(result.seed)))


def num_cpus() -> int:
    """Number of CPUs that this process may use, or of all CPUs where the system doesn't tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_Task = tuple[Contender, Sequence[int]]


def _check(contenders: Sequence[Contender], table: ArchTable, budget: float) -> None:
    labels = [contender.label for contender in contenders]
    for contender in contenders:
        if labels.count(contender.label) > 1:
            raise UsageError(
                f"the strategy {contender.label!r} is given {labels.count(contender.label)} times. "
                f"Write LABEL={contender.strategy} to give each its own label."
            )
        contender.resolved_options()
    if budget < table.highest_cost:
        raise UsageError(
            f"a budget of {budget:g} simulated seconds is less than the most expensive child of the table "
            f"takes: {table.highest_cost:g}. A run might end without any child: give more."
        )


def _results_as_completed(
    tasks: Sequence[_Task], table: ArchTable, setting: BenchmarkSetting, processes: int
) -> Iterator[list[SeedResult]]:
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


_shared: tuple[ArchTable, BenchmarkSetting] | None = None
"""Global of a pool's process: the table is large, so it is sent once per process and not with each task."""


def _prepare_process(table: ArchTable, setting: BenchmarkSetting) -> None:
    global _shared
    _shared = table, setting
    # Import the strategies first: the limit only affects libraries that are already loaded.
    STRATEGIES.names()
    threadpool_limits(1)


def _run_task_here(contender: Contender, seeds: Sequence[int]) -> list[SeedResult]:
    assert _shared is not None
    return _run_task(contender, seeds, *_shared)


def _run_task(
    contender: Contender, seeds: Sequence[int], table: ArchTable, setting: BenchmarkSetting
) -> list[SeedResult]:
    return [_run_seed(contender, seed, table, setting) for seed in seeds]


def _run_seed(contender: Contender, seed: int, table: ArchTable, setting: BenchmarkSetting) -> SeedResult:
    start = time.process_time()
    run = simulate(
        contender.make(table.space, seed=seed),
        table,
        budget=setting.budget,
        workers=setting.workers,
        children=setting.children,
        equal_cells=setting.equal_cells,
    )
    return SeedResult(contender.label, seed, run, time.process_time() - start)
