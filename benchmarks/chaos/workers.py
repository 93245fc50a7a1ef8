"""A search whose workers, worker groups and nodes are killed: `make chaos-workers`.

The search runs on a new Ray cluster in processes of this machine: a head without CPUs, and nodes with one CPU
each. Training is a stand-in: a few epochs of sleep, and an accuracy that depends only on the architecture. At
random moments a worker is killed, the run of a worker group is ended, or a node is killed and replaced. At
the end, children and rewards must be those of the same search without kills, and journal and MLflow must have
each child once; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.chaos.checks import check_mlflow, exit_with
from benchmarks.chaos.killer import Killer
from benchmarks.cluster import cluster_of
from benchmarks.overhead import open_tracker
from raynas.cells.space import make_space
from raynas.child import Child, ChildResult, EpochReport, Report, ShouldStop, TrainChild
from raynas.data import ImageSplit
from raynas.engine.config import WorkerConfig
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run
from raynas.files import JOURNAL_FILE
from raynas.run.events import Event, Finished, Proposed, Started
from raynas.run.journal import Journal, read_events
from raynas.run.records import RunListener
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy
from raynas.training.child_checkpoint import ChildCheckpoints
from raynas.training.device import Placement

EPOCHS = 3


@dataclass(frozen=True)
class StandIn:
    """A trainer that trains nothing; it writes its process id and the epochs that it has run to the
    folder."""

    folder: Path
    seconds: float
    checkpoints: ChildCheckpoints | None = None

    def with_checkpoints(self, checkpoints: ChildCheckpoints) -> TrainChild:
        return replace(self, checkpoints=checkpoints)

    def __call__(self, child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        is_chaos = (self.folder / "workers").exists()
        if is_chaos:
            (self.folder / "workers" / str(os.getpid())).touch()
        kept = self.checkpoints.load() if self.checkpoints else None
        curve = []
        for epoch in range(1, EPOCHS + 1):
            accuracy = int(child.arch_id[:6], 16) / 0xFFFFFF * epoch / EPOCHS
            curve.append(EpochReport(epoch=epoch, accuracy=accuracy, train_loss=1.0, seconds=float(epoch)))
            if is_chaos and epoch > int(kept or 0):
                time.sleep(self.seconds)
                with (self.folder / f"epochs-{child.id}").open("a") as trace:
                    trace.write(f"{epoch}\n")
            report(curve[-1])
            if self.checkpoints and epoch < EPOCHS:
                self.checkpoints.save(epoch, str(epoch).encode())
        return ChildResult(status="completed", accuracy=accuracy, curve=tuple(curve), seconds=1.0)


def stand_in(placement: Placement, split: ImageSplit | None, *, folder: Path, seconds: float) -> TrainChild:
    return StandIn(folder, seconds)


def search(num_children: int, pool: ChildPool, folder: Path, *listeners: RunListener) -> None:
    """Runs a search of the same children each time, with its journal and MLflow in the folder."""
    folder.mkdir()
    space = make_space("nasnet", num_blocks=2)
    # The random strategy's proposals don't depend on the order in which results arrive.
    strategy = make_strategy("random", space, seed=0)
    started = Started(run_id=folder.name, raynas="0", time=0.0, config={})
    tracker = open_tracker(folder, space)
    with Journal.create(folder / JOURNAL_FILE, started) as journal:
        run = Run(
            space, strategy, num_children=num_children, journal=journal, listeners=[tracker, *listeners]
        )
        tune_run(run, pool)
    tracker.close("FINISHED", timeout=600)


def outcome(events: list[Event]) -> dict[int, tuple[str, float | None, int]]:
    """Status, reward and number of epochs of each child."""
    return {
        event.child: (event.result.status, event.reward, len(event.result.curve))
        for event in events
        if isinstance(event, Finished)
    }


def wrong(num_children: int, undisturbed: Path, disturbed: Path) -> list[str]:
    """Differences between the searches, and errors in the journal or in MLflow."""
    found = []
    left_alone, events = read_events(undisturbed / JOURNAL_FILE), read_events(disturbed / JOURNAL_FILE)
    once = Counter(range(num_children))
    for kind in (Proposed, Finished):
        counts = Counter(event.child for event in events if isinstance(event, kind))
        if counts != once:
            found.append(f"{kind.__name__}: lost {list(once - counts)}, more than once {list(counts - once)}")
    expected, actual = outcome(left_alone), outcome(events)
    for child, ending in expected.items():
        if actual.get(child) != ending:
            found.append(f"child {child} ended as {actual.get(child)}, without kills as {ending}")
    try:
        check_mlflow(disturbed / "mlflow.db", events)
    except AssertionError as error:
        found.append(f"MLflow differs from the journal: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=300)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="duration of each of a child's three epochs"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--no-checkpoints", action="store_true", help="lost children start again from the first epoch"
    )
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    thresholds = sorted(rng.sample(range(1, arguments.children * 9 // 10), arguments.kills))
    config = WorkerConfig(
        count=arguments.nodes,
        max_attempts=arguments.kills + 1,
        checkpoint_epochs=0 if arguments.no_checkpoints else 1,
    )
    # MLflow is in the folder, whatever store the environment names for other programs.
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as name, cluster_of(arguments.nodes) as cluster:
        folder = Path(name)
        factory = functools.partial(stand_in, folder=folder, seconds=arguments.seconds)
        with ChildPool(factory, config=config) as pool:
            search(arguments.children, pool, folder / "undisturbed")
            (folder / "workers").mkdir()
            killer = Killer(cluster, pool, folder, thresholds, arguments.seed)
            began = time.perf_counter()
            search(arguments.children, pool, folder / "disturbed", killer)
            seconds = time.perf_counter() - began
            killer.join()
        found = wrong(arguments.children, folder / "undisturbed", folder / "disturbed")
        epochs = sum(len(path.read_text().splitlines()) for path in folder.glob("epochs-*"))
    if killer.done.total() != arguments.kills:
        found.append(f"only {killer.done.total()} of {arguments.kills} kills were made")
    again = epochs - EPOCHS * arguments.children
    if config.checkpoint_epochs and again > arguments.kills:
        found.append(f"{again} epochs were trained again, although children resume from their last epoch")
    kills = ", ".join(f"{count} x {kind}" for kind, count in sorted(killer.done.items()))
    exit_with(
        f"{arguments.children} children on {arguments.nodes} nodes, killed: {kills}; {seconds:.0f} s; "
        f"{again} of {epochs} epochs were trained again",
        found,
    )


if __name__ == "__main__":
    main()
