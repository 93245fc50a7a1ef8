"""Kills the workers, worker groups and nodes of a running search."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from raynas.child import Child
from raynas.engine.pool import ChildPool
from raynas.engine.pool_supervisor import Group
from raynas.run.records import ChildRecord, RunListener

KINDS = ("worker", "group", "node")
SLACK = 10
"""Number of children that may finish while a kill is due; then the search waits for it."""


class Killer(RunListener):
    """Kills in a thread, as children finish. Nodes are added in the main thread, as Ray requires."""

    def __init__(
        self, cluster: Cluster, pool: ChildPool, folder: Path, thresholds: list[int], seed: int
    ) -> None:
        self.cluster = cluster
        self.pool = pool
        self.folder = folder
        self.thresholds = thresholds
        self.rng = random.Random(seed)
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
        self._add_missing_nodes()
        while self._is_late and self._thread.is_alive():
            self._add_missing_nodes()
            time.sleep(0.1)

    def join(self) -> None:
        self._thread.join()

    @property
    def _is_late(self) -> bool:
        num_due = sum(threshold <= self._num_finished - SLACK for threshold in self.thresholds)
        return self.done.total() < num_due

    def _add_missing_nodes(self) -> None:
        with self._progress:
            num_missing, self._num_missing = self._num_missing, 0
        for _ in range(num_missing):
            self.cluster.add_node(num_cpus=1)

    def _kill_all(self) -> None:
        for number, threshold in enumerate(self.thresholds):
            with self._progress:
                while self._num_finished < threshold:
                    self._progress.wait()
            time.sleep(self.rng.uniform(0, 1))
            kind = self.rng.choice(KINDS) if number >= len(KINDS) else KINDS[number]
            began = time.perf_counter()
            KILLS[kind](self)
            self.done[kind] += 1
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
        """Waits for at least so many worker groups that have trained a child on a node that is still there.

        A node that is starting can't be lost yet, and one that was lost may not have been noticed.
        """
        while True:
            nodes = {node.node_id for node in self.cluster.worker_nodes}
            groups = [
                group
                for group in self.pool.groups
                if group.group.node in nodes and ray.get(self.pool.queue.has_served.remote(group.group_name))
            ]
            if len(groups) >= at_least:
                return groups
            time.sleep(0.2)

    def _end_group(self) -> None:
        self.rng.choice(self._serving_groups(1)).kill()

    def _remove_node(self) -> None:
        # Never the last node: lost nodes are replaced only when children finish, and those need a node.
        self._serving_groups(2)
        nodes = sorted(self.cluster.worker_nodes, key=lambda node: node.unique_id)
        self.cluster.remove_node(self.rng.choice(nodes), allow_graceful=False)
        with self._progress:
            self._num_missing += 1


KILLS: dict[str, Callable[[Killer], None]] = {
    "worker": Killer._kill_worker,
    "group": Killer._end_group,
    "node": Killer._remove_node,
}
