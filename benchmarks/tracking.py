"""What a child costs in MLflow, without Ray and training: `make bench-tracking`.

Children of the full NASNet space (50 decisions) with random accuracies are told to a tracker, which then
writes them all. Processor time is what counts on a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from unittest import mock

from raynas.cells.space import make_space
from raynas.child import Child, ChildResult, EpochReport
from raynas.run.events import Started
from raynas.run.journal import Journal
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy
from raynas.tracking import search_runs
from raynas.tracking.config import TrackingConfig
from raynas.tracking.run_page import RunPage
from raynas.tracking.search_tracker import SearchTracker
from raynas.tracking.writer import DeferredWriter


def written(num_children: int, folder: Path) -> tuple[float, float]:
    """Seconds of wall and of processor time in which MLflow got these children, on SQLite."""
    space, writer = make_space("nasnet"), DeferredWriter()
    page = RunPage(
        kind="search",
        run_id="bench",
        folder=folder / "run",
        tracking=TrackingConfig(experiment="bench"),
        config={},
    )
    tracker = SearchTracker.open(page, space=space, writer=writer)
    started = Started(run_id="bench", raynas="0", time=time.time(), config={})
    with Journal.create(folder / "journal.jsonl", started) as journal:
        strategy = make_strategy("random", space, seed=0)
        run = Run(space, strategy, num_children=num_children, journal=journal, listeners=[tracker])
        rng = random.Random(0)
        while (child := run.next_child()) is not None:
            run.finish(child.id, _result(child, rng))
    wall, processor = time.perf_counter(), time.process_time()
    tracker.close("FINISHED")
    assert tracker.num_written == num_children and not writer.refused
    return time.perf_counter() - wall, time.process_time() - processor


def _result(child: Child, rng: random.Random) -> ChildResult:
    epoch = EpochReport(epoch=1, accuracy=rng.random(), train_loss=1.0, seconds=0.0)
    return ChildResult(status="completed", accuracy=epoch.accuracy, curve=(epoch,))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=500, help="number of children")
    parser.add_argument(
        "--by-requests", action="store_true", help="write through MLflow's client, as to a server"
    )
    arguments = parser.parse_args()
    by_requests = mock.patch.object(search_runs, "child_transaction", return_value=None)
    way = by_requests if arguments.by_requests else contextlib.nullcontext()
    with way, tempfile.TemporaryDirectory() as folder:
        wall, processor = written(arguments.children, Path(folder))
    count = arguments.children
    print(
        f"{count} children: {processor / count * 1000:.1f} ms of processor time, "
        f"{wall / count * 1000:.1f} ms in all, per child; {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}, mlflow {version('mlflow')}, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
