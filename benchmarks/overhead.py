"""What a child costs beyond its training, measured with children that do nothing: `make bench`.

The search has the PPO controller on the full NASNet space, one report per child, and all CPUs of the machine.
The same process also measures plain Ray Tune, with trials that make one report, with and without
reuse_actors.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ray import tune

from raynas.cells.space import SearchSpace, make_space
from raynas.child import Child, ChildResult, EpochReport, Report, ShouldStop, TrainChild
from raynas.data import ImageSplit
from raynas.engine.cluster import connected
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run
from raynas.run.events import Started
from raynas.run.journal import Journal
from raynas.run.records import ChildRecord, RunListener
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy
from raynas.tracking.config import TrackingConfig
from raynas.tracking.run_page import RunPage
from raynas.tracking.search_tracker import SearchTracker
from raynas.training.device import Placement


def no_op(placement: Placement, split: ImageSplit | None) -> TrainChild:
    """A trainer that reports once and ends."""

    def train(child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        epoch = EpochReport(epoch=1, accuracy=0.5, train_loss=1.0, seconds=0.0)
        report(epoch)
        return ChildResult(status="completed", accuracy=0.5, curve=(epoch,))

    return train


class Clock(RunListener):
    """Records when each child ends."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        self.times.append(time.perf_counter())

    def seconds_per_child(self) -> float:
        """Average time from one child to the next; the first child is not counted."""
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


def raynas_search(num_children: int, pool: ChildPool, folder: Path, *, with_mlflow: bool) -> float:
    space = make_space("nasnet")
    clock = Clock()
    trackers = [open_tracker(folder, space)] if with_mlflow else []
    with Journal.create(
        folder / "journal.jsonl", Started(run_id="bench", raynas="0", time=0.0, config={})
    ) as journal:
        strategy = make_strategy("ppo", space, seed=0)
        run = Run(space, strategy, num_children=num_children, journal=journal, listeners=[*trackers, clock])
        tune_run(run, pool)
    seconds = clock.seconds_per_child()
    if trackers:
        began = time.perf_counter()
        lost = trackers[0].close("FINISHED", timeout=600)
        assert lost == 0
        # The tracker writes in the background; what is left to write after the last child counts too.
        seconds += (time.perf_counter() - began) / num_children
    return seconds


def open_tracker(folder: Path, space: SearchSpace) -> SearchTracker:
    """A tracker with a store of its own, in `folder`."""
    page = RunPage(
        kind="search",
        run_id=folder.name,
        folder=folder / "run",
        tracking=TrackingConfig(experiment="bench"),
        config={},
    )
    return SearchTracker.open(page, space=space)


def plain_tune(num_trials: int, folder: Path, *, reuse_actors: bool) -> float:
    """Seconds per trial of Ray Tune alone, after the first trial, with configs of as many random
    decisions."""
    times: list[float] = []

    class RecordEnds(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            times.append(time.perf_counter())

        # Tune pickles its callbacks, and this one holds a local list.
        def __reduce__(self) -> Any:
            return tune.Callback, ()

    def train(config: dict[str, Any]) -> None:
        tune.report({"accuracy": 0.5})

    # Without the files of its loggers, Tune is as fast as it can be.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    param_space = {f"decision_{index}": tune.randint(0, 13) for index in range(50)}
    tune.Tuner(
        tune.with_resources(train, tune.PlacementGroupFactory([{"node:__internal_head__": 0.0001}])),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            num_samples=num_trials, max_concurrent_trials=2, reuse_actors=reuse_actors
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, callbacks=[RecordEnds()]),
    ).fit()
    return (times[-1] - times[0]) / (len(times) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--children", type=int, default=501, help="number of children; the first is not counted"
    )
    parser.add_argument(
        "--reused-trials", type=int, default=101, help="trials of plain Tune with reuse_actors"
    )
    parser.add_argument(
        "--plain-trials", type=int, default=40, help="trials of plain Tune without reuse_actors"
    )
    arguments = parser.parse_args()
    rows: list[tuple[str, int, float]] = []

    def measure(what: str, count: int, run: Callable[[Path], float]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rows.append((what, count - 1, run(Path(folder))))
        print(f"{what}: {rows[-1][2] * 1000:.1f} ms", flush=True)

    count = arguments.children
    some = arguments.reused_trials
    few = arguments.plain_trials
    with connected("local"):
        with ChildPool(no_op) as pool:
            pool.wait_ready()
            for _ in range(3):
                measure("raynas, journal", count, lambda f: raynas_search(count, pool, f, with_mlflow=False))
            measure("raynas, journal and MLflow on SQLite", count,
                    lambda f: raynas_search(count, pool, f, with_mlflow=True))  # fmt: skip
        measure("plain Ray Tune, reuse_actors=True", some, lambda f: plain_tune(some, f, reuse_actors=True))
        measure("plain Ray Tune, reuse_actors=False", few, lambda f: plain_tune(few, f, reuse_actors=False))
    _print(rows)


def _print(rows: list[tuple[str, int, float]]) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch", "mlflow"))
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python "
          f"{platform.python_version()}, {versions}, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| path | n | ms per child |\n|---|---|---|")
    for what, count, seconds in rows:
        print(f"| {what} | {count} | {seconds * 1000:.1f} |")


if __name__ == "__main__":
    main()
