"""Runs several strategies on one table, with many seeds each, in parallel processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from threadpoolctl import threadpool_limits

from raynas.errors import SearchFailed, UsageError
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.simulate import (
    EqualCellsPolicy,
    Improvement,
    SimulatedRun,
    simulate_budgets,
)
from raynas.programs.benchmark.table import ArchTable
from raynas.strategies.strategy import STRATEGIES


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The search of one strategy with one seed."""

    label: str
    """Label of the contender."""
    seed: int
    run: SimulatedRun
    seconds: float
    """Real processor time of the simulation."""
    earlier: tuple[SeedResult, ...] = ()
    """This search as it stood at the end of each smaller budget, the smallest first."""

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
    smaller_budgets: tuple[float, ...] = ()
    """Simulated seconds, rising and below `budget`, at which the searches are looked at too."""

    @property
    def budgets(self) -> tuple[float, ...]:
        """All budgets, the smallest first."""
        return (*self.smaller_budgets, self.budget)


def benchmark(
    contenders: Sequence[Contender],
    table: ArchTable,
    setting: BenchmarkSetting,
    *,
    seeds: Sequence[int],
    processes: int | None = 1,
    done: Sequence[SeedResult] = (),
    on_progress: Callable[[int], object] = lambda num_done: None,
    on_result: Callable[[SeedResult], object] = lambda seed_result: None,
) -> list[SeedResult]:
    """Runs every contender with every seed, all contenders side by side.

    Args:
        processes: number of processes (not of simulated workers): 1 stays in this process, None starts one
            per CPU. New processes are spawned, so a script that asks for several must guard its call with
            `if __name__ == "__main__"`.
        done: results that are known from earlier; these runs are not repeated.
        on_progress: called with the number of finished runs.
        on_result: called with each new result, in this process.
    Returns:
        Results in the order of contenders and seeds, whatever the number of processes.
    Raises:
        UsageError: as `check`.
    """
    check(contenders, table, setting)
    known = {(seed_result.label, seed_result.seed) for seed_result in done}
    tasks = [
        (contender, seed)
        for seed in seeds
        for contender in contenders
        if (contender.label, seed) not in known
    ]
    processes = num_cpus() if processes is None else processes
    seed_results = list(done)
    with contextlib.closing(_as_completed(tasks, table, setting, min(processes, len(tasks)))) as results:
        for seed_result in results:
            on_result(seed_result)
            seed_results.append(seed_result)
            on_progress(len(seed_results))
    places = {contender.label: place for place, contender in enumerate(contenders)}
    return sorted(seed_results, key=lambda result: (places[result.label], seeds.index(result.seed)))


def num_cpus() -> int:
    """Number of CPUs that this process may use, or of all CPUs where the system doesn't tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check(contenders: Sequence[Contender], table: ArchTable, setting: BenchmarkSetting) -> None:
    """UsageError if a benchmark can't be run.

    A strategy or option is unknown, a label occurs twice, or the table's most expensive child doesn't fit
    into a budget, so that a run might end without a result.
    """
    labels = [contender.label for contender in contenders]
    for contender in contenders:
        if labels.count(contender.label) > 1:
            raise UsageError(
                f"the strategy {contender.label!r} is given {labels.count(contender.label)} times. "
                f"Write LABEL={contender.strategy} to give each its own label."
            )
        contender.resolved_options()
    budget = min(setting.budgets)
    if budget < table.highest_cost:
        raise UsageError(
            f"a budget of {budget:g} simulated seconds is less than the most expensive child of the table "
            f"takes: {table.highest_cost:g}. A run might end without any child: give more."
        )


_Task = tuple[Contender, int]


def _as_completed(
    tasks: Sequence[_Task], table: ArchTable, setting: BenchmarkSetting, processes: int
) -> Generator[SeedResult, None, None]:
    if processes <= 1:
        with threadpool_limits(1):
            for contender, seed in tasks:
                yield _run_seed(contender, seed, table, setting)
        return
    earlier = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _prepare_process, (table, setting)
    )
    try:
        with _without_ctrl_c():
            futures = [pool.submit(_run_task_here, *task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        # Nobody waits for their results any more, and a run can take minutes.
        for process in set(multiprocessing.active_children()) - earlier:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes that are started in the block ignore Ctrl-C, which a terminal sends to all of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_shared: tuple[ArchTable, BenchmarkSetting] | None = None
"""Global of a pool's process: the table is large, so it is sent once per process and not with each task."""


def _prepare_process(table: ArchTable, setting: BenchmarkSetting) -> None:
    global _shared
    _shared = table, setting
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Import the strategies first: the limit only affects libraries that are already loaded.
    STRATEGIES.names()
    threadpool_limits(1)


def _end_with_parent() -> None:
    """A pool's processes would outlive a parent that was killed, and wait for tasks forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_task_here(contender: Contender, seed: int) -> SeedResult:
    assert _shared is not None
    return _run_seed(contender, seed, *_shared)


def _run_seed(contender: Contender, seed: int, table: ArchTable, setting: BenchmarkSetting) -> SeedResult:
    start = time.process_time()
    runs = simulate_budgets(
        contender.make(table.space, seed=seed),
        table,
        budgets=setting.budgets,
        workers=setting.workers,
        children=setting.children,
        equal_cells=setting.equal_cells,
    )
    *earlier, last = [SeedResult(contender.label, seed, run, time.process_time() - start) for run in runs]
    return replace(last, earlier=tuple(earlier))
