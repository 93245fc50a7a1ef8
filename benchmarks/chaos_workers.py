"""A search whose workers, worker groups and nodes are killed: `make chaos-workers`.

On a Ray of its own with a head without CPUs and nodes of one CPU each, in processes of this machine. Training
is a stand-in: a few epochs of sleep, and an accuracy that the architecture alone decides. Again and again, at
random moments, a worker is killed, the run of a worker group is ended, or a node is killed and another added.
Checked at the end, else exit code 1: children and rewards are those of the same search left alone, and the
journal has each child once.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from raynas.child import Child, ChildResult, EpochReport, Report, ShouldStop, TrainChild
from raynas.data import ImageSplit
from raynas.engine.cluster import connected
from raynas.engine.config import WorkerConfig
from raynas.engine.keeper import Group
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run
from raynas.journal import FILE_NAME, Finished, Journal, Proposed, Started, read_events
from raynas.records import ChildRecord, RunListener
from raynas.run import Run
from raynas.space import make_space
from raynas.strategy import make_strategy
from raynas.training import Placement
from raynas.training.child_checkpoint import Checkpoints

KINDS = ("worker", "group", "node")
EPOCHS = 3


@dataclass(frozen=True)
class StandIn:
    """Trains nothing; in the folder it leaves who it is and which epochs it has been through."""

    folder: Path
    seconds: float
    checkpoints: Checkpoints | None = None

    def keeping(self, checkpoints: Checkpoints) -> TrainChild:
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


class Chaos(RunListener):
    """Kills as the children end, in a thread; nodes are added here, as Ray wants that in the main thread."""

    def __init__(
        self, cluster: Cluster, pool: ChildPool, folder: Path, thresholds: list[int], seed: int
    ) -> None:
        self.cluster, self.pool, self.folder = cluster, pool, folder
        self.thresholds, self.rng = thresholds, random.Random(seed)
        self.done: Counter[str] = Counter()
        self._num_finished = 0
        self._num_missing = 0
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._kill_all, daemon=True)
        self._thread.start()

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        with self._progress:
            self._num_finished += 1
            self._progress.notify_all()
            num_missing, self._num_missing = self._num_missing, 0
        for _ in range(num_missing):
            self.cluster.add_node(num_cpus=1)

    def join(self) -> None:
        self._thread.join()

    def _kill_all(self) -> None:
        for number, threshold in enumerate(self.thresholds):
            with self._progress:
                self._progress.wait_for(lambda threshold=threshold: self._num_finished >= threshold)
            time.sleep(self.rng.uniform(0, 1))
            kind = self.rng.choice(KINDS) if number >= len(KINDS) else KINDS[number]
            self.done[kind] += 1
            began = time.perf_counter()
            KILLS[kind](self)
            print(f"after {threshold} children: {kind} killed in {time.perf_counter() - began:.1f} s, "
                  f"{self.pool.num_slots} workers left", flush=True)  # fmt: skip

    def _kill_worker(self) -> None:
        while True:
            pids = sorted(int(path.name) for path in (self.folder / "workers").iterdir())
            chosen = self.rng.choice(pids)
            (self.folder / "workers" / str(chosen)).unlink()
            try:
                os.kill(chosen, signal.SIGKILL)
                return
            except ProcessLookupError:
                self._wait_for_a_worker()

    def _wait_for_a_worker(self) -> None:
        while not list((self.folder / "workers").iterdir()):
            time.sleep(0.05)

    def _serving_groups(self, at_least: int) -> list[Group]:
        """Waited for: a node that is on its way is none that can be lost."""
        while True:
            groups = [
                group
                for group in self.pool.groups
                if ray.get(self.pool.queue.has_served.remote(group.group_name))
            ]
            if len(groups) >= at_least:
                return groups
            time.sleep(0.2)

    def _end_group(self) -> None:
        self.rng.choice(self._serving_groups(1)).kill()

    def _remove_node(self) -> None:
        # Not the last one: others are added as children end.
        self._serving_groups(2)
        nodes = sorted(self.cluster.worker_nodes, key=lambda node: node.unique_id)
        self.cluster.remove_node(self.rng.choice(nodes), allow_graceful=False)
        with self._progress:
            self._num_missing += 1


KILLS: dict[str, Callable[[Chaos], None]] = {
    "worker": Chaos._kill_worker,
    "group": Chaos._end_group,
    "node": Chaos._remove_node,
}


@contextmanager
def cluster_of(num_nodes: int) -> Iterator[Cluster]:
    """In processes of this machine, connected."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(num_nodes):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        with connected(cluster.address):
            yield cluster
    finally:
        cluster.shutdown()


def search(
    num_children: int, pool: ChildPool, folder: Path, make_listeners: Callable[[], list[RunListener]]
) -> Path:
    """The same children each time; returns the journal."""
    folder.mkdir()
    space = make_space("nasnet", num_blocks=2)
    # Random proposals: they don't depend on the order in which results come.
    strategy = make_strategy("random", space, seed=0)
    started = Started(run_id="chaos", raynas="0", time=0.0, config={})
    with Journal.create(folder / FILE_NAME, started) as journal:
        run = Run(space, strategy, num_children=num_children, journal=journal, listeners=make_listeners())
        tune_run(run, pool)
    return folder / FILE_NAME


def outcome(journal: Path) -> dict[int, tuple[str, float | None, int]]:
    """Child -> status, reward and number of epochs."""
    return {
        event.child: (event.result.status, event.reward, len(event.result.curve))
        for event in read_events(journal)
        if isinstance(event, Finished)
    }


def wrong(num_children: int, undisturbed: Path, disturbed: Path) -> list[str]:
    """What is not as it should be."""
    found = []
    once = Counter(range(num_children))
    for kind in (Proposed, Finished):
        counts = Counter(event.child for event in read_events(disturbed) if isinstance(event, kind))
        if counts != once:
            found.append(f"{kind.__name__}: lost {list(once - counts)}, more than once {list(counts - once)}")
    expected, actual = outcome(undisturbed), outcome(disturbed)
    for child, ending in expected.items():
        if actual.get(child) != ending:
            found.append(f"child {child} ended as {actual.get(child)}, left alone as {ending}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=300)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each of a child's three epochs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-checkpoints", action="store_true", help="lost children begin anew")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    thresholds = sorted(rng.sample(range(1, arguments.children * 9 // 10), arguments.kills))
    config = WorkerConfig(
        count=arguments.nodes,
        max_attempts=arguments.kills + 1,
        checkpoint_epochs=0 if arguments.no_checkpoints else 1,
    )
    with tempfile.TemporaryDirectory() as name, cluster_of(arguments.nodes) as cluster:
        folder = Path(name)
        factory = functools.partial(stand_in, folder=folder, seconds=arguments.seconds)
        with ChildPool(factory, config=config) as pool:
            undisturbed = search(arguments.children, pool, folder / "undisturbed", list)
            (folder / "workers").mkdir()
            chaos: list[Chaos] = []

            def make_chaos() -> list[RunListener]:
                chaos.append(Chaos(cluster, pool, folder, thresholds, arguments.seed))
                return list(chaos)

            began = time.perf_counter()
            disturbed = search(arguments.children, pool, folder / "disturbed", make_chaos)
            seconds = time.perf_counter() - began
            chaos[0].join()
        found = wrong(arguments.children, undisturbed, disturbed)
        epochs = sum(len(path.read_text().splitlines()) for path in folder.glob("epochs-*"))
    again = epochs - EPOCHS * arguments.children
    if config.checkpoint_epochs and again > arguments.kills:
        found.append(f"{again} epochs were trained again, although children go on from the last one")
    kills = ", ".join(f"{count} x {kind}" for kind, count in sorted(chaos[0].done.items()))
    print(f"{arguments.children} children on {arguments.nodes} nodes, killed: {kills}; {seconds:.0f} s; "
          f"{again} of {epochs} epochs were trained again; load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for line in found:
        print(f"WRONG: {line}")
    print("as if left alone" if not found else f"{len(found)} wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
