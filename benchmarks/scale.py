"""What a long search, or one with many workers, costs beyond its training: `make bench-scale`.

    python -m benchmarks.scale growth --children 20000 --out /tmp/growth   # no-op children, two real workers
    python -m benchmarks.scale resume --out /tmp/growth                    # resumes that run in a new process
    python -m benchmarks.scale workers --workers 450 --children 5000 --seconds 30
    python -m benchmarks.scale workers --workers 8 --children 400 --seconds 2 --spread 0

`workers` simulates its workers: they are coroutines of one actor that take children, sleep for a random time
and return results; everything else is real. Searches have the PPO controller with the paper's options, the
full NASNet space and a journal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from benchmarks.overhead import no_op, open_tracker
from raynas.cells.space import make_space
from raynas.child import Child, ChildResult, EpochReport
from raynas.engine.cluster import connected
from raynas.engine.config import SchedulerConfig, WorkerConfig
from raynas.engine.pool import ChildPool
from raynas.engine.schedulers import build_scheduler
from raynas.engine.tuning import tune_run
from raynas.files import JOURNAL_FILE
from raynas.programs.search.snapshots import Snapshots
from raynas.run.events import Started
from raynas.run.journal import Journal
from raynas.run.records import ChildRecord, RunListener
from raynas.run.run import Run
from raynas.strategies.ppo_config import PAPER
from raynas.strategies.strategy import make_strategy

MEGABYTE = 2**20


def make_run(num_children: int, journal: Journal, *listeners: RunListener) -> Run:
    space = make_space("nasnet")
    strategy = make_strategy("ppo", space, seed=0, **PAPER.model_dump())
    snapshots = Snapshots(strategy, journal.path)
    snapshots.recall()
    return Run(space, strategy, num_children=num_children, journal=journal, listeners=[snapshots, *listeners])


def new_journal(folder: Path) -> Journal:
    return Journal.create(folder / JOURNAL_FILE, Started(run_id="bench", raynas="0", time=0.0, config={}))


class Growth(RunListener):
    """Prints a line after every `every` children."""

    def __init__(self, every: int, folder: Path) -> None:
        self.every = every
        self.folder = folder
        self.num_finished = 0
        self.since = time.perf_counter()
        self.cpu_since = time.process_time()
        print("| children | ms per child | driver CPU, ms | driver RSS, MB | folder, MB | files | load |")
        print("|---|---|---|---|---|---|---|", flush=True)

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        self.num_finished += 1
        if self.num_finished % self.every == 0:
            now, cpu = time.perf_counter(), time.process_time()
            milliseconds = [1000 * spent / self.every for spent in (now - self.since, cpu - self.cpu_since)]
            sizes = file_sizes(self.folder)
            size = sum(sizes) / MEGABYTE
            rss = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MEGABYTE
            print(f"| {self.num_finished} | {milliseconds[0]:.1f} | {milliseconds[1]:.1f} | {rss:.0f} | "
                  f"{size:.1f} | {len(sizes)} | {os.getloadavg()[0]:.1f} |", flush=True)  # fmt: skip
            self.since = time.perf_counter()
            self.cpu_since = time.process_time()


def file_sizes(folder: Path) -> list[int]:
    """Sizes in bytes of all files in and below a folder that other processes are writing to."""
    sizes = []
    for path in folder.rglob("*"):
        # SQLite creates and deletes its journal all the time.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                sizes.append(path.stat().st_size)
    return sizes


def growth(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.out or Path(tempfile.mkdtemp(prefix="raynas-growth-"))
    with connected("local"), ChildPool(no_op, config=WorkerConfig(count=2)) as pool:
        pool.wait_ready()
        with new_journal(folder) as journal:
            tracker = [open_tracker(folder, make_space("nasnet"))] if arguments.mlflow else []
            run = make_run(arguments.children, journal, *tracker, Growth(arguments.every, folder))
            # Snapshots are written only after the replay, which is empty for a new run.
            run.replay([])
            began = time.perf_counter()
            tune_run(run, pool)
            trained = time.perf_counter()
            lost = tracker[0].close("FINISHED", timeout=7200) if tracker else 0
            rest = time.perf_counter() - trained
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.children} children in {trained - began:.0f} s, MLflow's rest in another {rest:.0f} s, "
          f"{lost} lost; peak RSS {peak:.0f} MB; {folder}")  # fmt: skip


class FirstChild(RunListener):
    """Records when the first new child starts and ends, in seconds since the process started."""

    def __init__(self) -> None:
        self.handed_out = self.ended = 0.0

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        self.handed_out = self.handed_out or process_seconds()

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        if self.handed_out:
            self.ended = self.ended or process_seconds()


def process_seconds() -> float:
    """Seconds since this process started, including imports; on Linux only."""
    began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


def resume(arguments: argparse.Namespace) -> None:
    first = FirstChild()
    journal, events = Journal.reopen(arguments.out / JOURNAL_FILE)
    parsed = process_seconds()
    with journal, connected("local"), ChildPool(no_op, config=WorkerConfig(count=2)) as pool:
        run = make_run(sys.maxsize, journal, first)
        started, cpu_started = process_seconds(), time.process_time()
        run.replay(events)
        replayed, cpu = process_seconds(), time.process_time() - cpu_started
        run.num_children = run.num_finished + 10
        tune_run(run, pool)
    print(f"{len(events)} events; seconds since the process began: read {parsed:.1f}, Ray up {started:.1f}, "
          f"replayed {replayed:.1f} ({cpu:.1f} of CPU), first new child handed out {first.handed_out:.1f}, "
          f"ended {first.ended:.1f}; load {os.getloadavg()[0]:.1f}")  # fmt: skip


@dataclass(frozen=True)
class Shift:
    """One child of a simulated worker, with the seconds that the worker waited for it and trained it."""

    worker: int
    waited: float
    trained: float


class SimulatedWorkers:
    """An actor whose coroutines are the workers."""

    def __init__(self, queue: Any, seconds: float, spread: float) -> None:
        self.queue = queue
        self.seconds = seconds
        self.spread = spread
        self.rng = random.Random(0)

    async def work(self, num_workers: int) -> list[Shift]:
        """Works until the queue is closed; returns every child of every worker."""
        shifts: list[Shift] = []
        await asyncio.gather(*(self._work(index, shifts) for index in range(num_workers)))
        return shifts

    async def _work(self, index: int, shifts: list[Shift]) -> None:
        finished = None
        while True:
            asked = time.perf_counter()
            child = await self.queue.take.remote(f"worker {index}", finished)
            if child is None:
                return
            began = time.perf_counter()
            stopped = self.queue.stopped.remote(child.id)
            await asyncio.sleep(self.seconds * (1 + self.spread * self.rng.uniform(-1, 1)))
            epoch = EpochReport(epoch=1, accuracy=0.5, train_loss=1.0, seconds=self.seconds)
            self.queue.report.remote(f"worker {index}", child.id, epoch)
            del stopped
            finished = child.id, ChildResult(status="completed", accuracy=0.5, curve=(epoch,))
            shifts.append(Shift(index, began - asked, time.perf_counter() - began))


class SimulatedPool(ChildPool):
    """A pool whose workers are coroutines of one actor."""

    seconds = 0.0
    spread = 0.0

    def _start_workers(self) -> None:
        actor = ray.remote(SimulatedWorkers).options(num_cpus=0, max_concurrency=10)
        self._workers = actor.remote(self.queue, self.seconds, self.spread)
        self.shifts = self._workers.work.remote(self.plan.num_slots)  # type: ignore[attr-defined]


def workers(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, connected("local"):
        pool = SimulatedPool(no_op, config=WorkerConfig(count=arguments.workers, cpus=0.001))
        pool.seconds, pool.spread = arguments.seconds, arguments.spread
        with pool, new_journal(Path(folder)) as journal:
            pool.wait_ready()
            run = make_run(arguments.children, journal)
            run.replay([])
            began, cpu = time.perf_counter(), time.process_time()
            tune_run(run, pool, scheduler=build_scheduler(SchedulerConfig(name=arguments.scheduler), 1))
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        shifts: list[Shift] = ray.get(pool.shifts)
    _print_shifts(steady(shifts), arguments, wall, cpu)


def steady(shifts: list[Shift]) -> list[Shift]:
    """Leaves out each worker's first and last child, when the search is starting or ending."""
    of_worker: dict[int, list[Shift]] = {}
    for shift in shifts:
        of_worker.setdefault(shift.worker, []).append(shift)
    return [shift for mine in of_worker.values() for shift in mine[1:-1]]


def _print_shifts(shifts: list[Shift], arguments: argparse.Namespace, wall: float, cpu: float) -> None:
    waits = sorted(shift.waited * 1000 for shift in shifts)
    trained, waited = sum(shift.trained for shift in shifts), sum(shift.waited for shift in shifts)
    print(f"{arguments.workers} workers, {arguments.children} children of {arguments.seconds:g} s "
          f"+-{arguments.spread:.0%}: {wall:.1f} s, {arguments.children / wall:.1f} children/s; from free to "
          f"the next child: median {statistics.median(waits):.1f} ms, 99th percentile "
          f"{waits[int(len(waits) * 0.99)]:.1f} ms, longest {waits[-1]:.1f} ms (n = {len(waits)}); "
          f"{trained / (trained + waited):.2%} of worker time in training; driver CPU {cpu:.1f} s = "
          f"{1000 * cpu / arguments.children:.1f} ms per child; load {os.getloadavg()[0]:.1f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("growth", help="no-op children on two real workers")
    command.add_argument("--children", type=int, default=3000)
    command.add_argument("--every", type=int, default=1000)
    command.add_argument("--mlflow", action="store_true")
    command.add_argument("--out", type=Path)
    command.set_defaults(run=growth)
    command = commands.add_parser("resume", help="resume a run that `growth` made")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=resume)
    command = commands.add_parser("workers", help="simulated workers")
    command.add_argument("--workers", type=int, default=450)
    command.add_argument("--children", type=int, default=2000)
    command.add_argument("--seconds", type=float, default=30.0, help="how long a child sleeps")
    command.add_argument(
        "--spread", type=float, default=0.5, help="largest deviation from --seconds, as a fraction"
    )
    command.add_argument("--scheduler", choices=["none", "asha", "median"], default="none")
    command.set_defaults(run=workers)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
