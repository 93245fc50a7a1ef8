"""Keeps a pool's worker groups: drops those whose node is gone, and starts others where there is room.

Knows Ray only through what it is given.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from raynas.engine.config import WorkerConfig
from raynas.engine.pool_plan import NodeResources, WorkerGroup, lack, more_groups

logger = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
"""Between two looks at the cluster."""
MAX_STARTS = 2
"""Of a group on one node without a worker that ever asks for a child; then the node is left out."""
CLOSING_SECONDS = 60.0
"""How long workers may take to go home at the end of a search."""


class Group(Protocol):
    """A worker group at work: a GroupRun."""

    group: WorkerGroup
    group_name: str
    error: BaseException | None

    def start(self) -> None: ...

    def is_alive(self) -> bool: ...

    def join(self, timeout: float | None = None) -> None: ...

    def look_up(self) -> None: ...

    def kill(self) -> None: ...

    def clear(self) -> None: ...


class Desk(Protocol):
    """What the keeper asks the work queue; ConnectionError if it can't be asked."""

    def failure(self) -> str | None:
        """Why a worker gave up, if one did."""

    def has_served(self, group: str) -> bool:
        """Whether a worker of the group has ever asked for a child."""

    def evict(self, group: str) -> None:
        """The group is gone; its children wait again."""


class Keeper(threading.Thread):
    """Looks after the groups in a thread of its own, until it is closed.

    Args:
        config: a settled one.
        make_group: of a number that is new, and where it is to be.
        find_nodes: the live nodes; ConnectionError if they can't be known just now.
    """

    def __init__(
        self,
        config: WorkerConfig,
        make_group: Callable[[int, WorkerGroup], Group],
        desk: Desk,
        find_nodes: Callable[[], list[NodeResources]],
    ) -> None:
        super().__init__(name="raynas-keeper", daemon=True)
        self.config, self.make_group, self.desk, self.find_nodes = config, make_group, desk, find_nodes
        self.groups: list[Group] = []
        self.error: BaseException | None = None
        self._num_started = 0
        self._failed_starts: Counter[str | None] = Counter()
        self._known_nodes: set[str] = set()
        self._empty_since: float | None = None
        self._has_served = False
        self._last_error: BaseException | None = None
        self._closing = threading.Event()

    @property
    def num_workers(self) -> int:
        return sum(group.group.num_workers for group in list(self.groups))

    def run(self) -> None:
        while self.error is None and not self._closing.wait(WATCH_SECONDS):
            try:
                self.tend(self.find_nodes())
            except ConnectionError as error:
                # Of the queue's loss the driver hears by itself; anything else passes.
                logger.debug("the cluster could not be looked at", exc_info=error)
            except Exception as error:
                # A pool that nobody keeps would wait for ever.
                self.error = error

    def add(self, groups: Sequence[WorkerGroup]) -> None:
        """Starts these groups."""
        for group in groups:
            run = self.make_group(self._num_started, group)
            self._num_started += 1
            self.groups.append(run)
            run.start()

    def tend(self, nodes: Sequence[NodeResources]) -> None:
        """Makes the groups fit the nodes that there are."""
        ids = {node.id for node in nodes}
        if ids - self._known_nodes:
            self._failed_starts.clear()
        self._known_nodes = ids
        for group in list(self.groups):
            if group.group.node is not None and group.group.node not in ids:
                self._drop(group)
            elif not group.is_alive():
                self._bury(group)
            else:
                group.look_up()
        if self.error is None:
            self._grow(nodes)
            self._check_hope(nodes)

    def close(self, patience: float) -> None:
        """Waits for the workers, which the queue has sent home; those that don't go are ended."""
        self._closing.set()
        self.join()
        deadline = time.monotonic() + patience
        for group in self.groups:
            group.join(max(deadline - time.monotonic(), 0.0))
        late = [group for group in self.groups if group.is_alive()]
        for group in late:
            group.kill()
        for group in late:
            group.clear()
            group.join(patience)

    def _drop(self, group: Group) -> None:
        self._forget(group)
        logger.warning(
            "node %s left the cluster, and with it %d of the workers; %d are left",
            str(group.group.node)[:12],
            group.group.num_workers,
            self.num_workers,
        )

    def _bury(self, group: Group) -> None:
        """A group that ended by itself: why, and whether it is worth another try."""
        reason, has_served = self.desk.failure(), self.desk.has_served(group.group_name)
        self._forget(group)
        if reason:
            self.error = RuntimeError(reason)
            return
        error = group.error or RuntimeError("a worker group ended before the search did")
        self._last_error, self._has_served = error, self._has_served or has_served
        node = group.group.node
        self._failed_starts[node] = 0 if has_served else self._failed_starts[node] + 1
        logger.debug("%s ended: %s", group.group_name, error)
        if self._failed_starts[node] >= MAX_STARTS:
            if not self.groups and not self._has_served:
                self.error = error
            logger.warning("no worker can be started on node %s: %s", str(node)[:12], error)

    def _forget(self, group: Group) -> None:
        self.desk.evict(group.group_name)
        if group.is_alive():
            group.kill()
        group.clear()
        self.groups.remove(group)

    def _grow(self, nodes: Sequence[NodeResources]) -> None:
        if self._failed_starts[None] >= MAX_STARTS:
            return
        usable = [node for node in nodes if self._failed_starts[node.id] < MAX_STARTS]
        more = more_groups(self.config, usable, [group.group for group in self.groups])
        self.add(more)
        if more:
            num_more = sum(group.num_workers for group in more)
            logger.info("%d workers start on what has room; %d in all", num_more, self.num_workers)

    def _check_hope(self, nodes: Sequence[NodeResources]) -> None:
        """Ends a search that has no worker and gets none."""
        if self.groups:
            self._empty_since = None
            return
        now = time.monotonic()
        self._empty_since = self._empty_since or now
        if now - self._empty_since >= self.config.wait_seconds:
            why = f" The last try ended with: {self._last_error}." if self._last_error else ""
            self.error = RuntimeError(
                f"the last of them was lost, and for {self.config.wait_seconds:g} s no node has had room for "
                f"another. {lack(self.config, nodes)}{why} Add nodes, and go on with --resume"
            )
