"""Reconciles a pool's worker groups with the cluster: removes those whose node is gone, starts others where
there is room.

Pure Python: Ray is behind the functions and protocols that the supervisor is given.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from raynas.engine.pool_plan import NodeResources, WorkerGroup, WorkerRequest, lack, more_groups

logger = logging.getLogger(__name__)

RECONCILE_SECONDS = 2.0
"""Time between two looks at the cluster."""
MAX_STARTS = 2
"""Starts of a group on one node without a worker that ever asks for a child; then the node is left out."""
CLOSE_TIMEOUT_SECONDS = 60.0
"""How long workers may take to return at the end of a search."""


class Group(Protocol):
    """A worker group that runs; see GroupRun."""

    group: WorkerGroup
    group_name: str
    error: BaseException | None

    def start(self) -> None:
        """Starts the group in a thread of its own."""

    def is_alive(self) -> bool:
        """Whether the group's run goes on."""

    def join(self, timeout: float | None = None) -> None:
        """Waits until the run has ended, for at most `timeout` seconds; None waits without a limit."""

    def locate(self) -> None:
        """Remembers what `kill` and `clear` need, while the queue can be asked for it."""

    def kill(self) -> None:
        """Ends a run that would go on."""

    def clear(self) -> None:
        """Frees the resources of a run that was killed."""


class QueueClient(Protocol):
    """The calls of the work queue that the supervisor makes; all raise ConnectionError if it can't be
    reached.
    """

    def failure(self) -> str | None:
        """Why a worker gave up, if one did."""

    def has_served(self, group: str) -> bool:
        """Whether a worker of the group has ever asked for a child."""

    def evict(self, group: str) -> None:
        """Queues the children of a lost group again."""


class PoolSupervisor(threading.Thread):
    """A thread that reconciles the groups with the cluster every RECONCILE_SECONDS, until it is closed.

    Only this thread changes `groups` once it has started; other threads read a copy.

    Args:
        request: number and size of the workers that are wanted.
        wait_seconds: how long the pool may be without a worker.
        make_group: makes a group from its number, which is never used twice, and its size and place.
        find_nodes: returns the live nodes; ConnectionError if they can't be known just now.
    """

    def __init__(
        self,
        request: WorkerRequest,
        wait_seconds: float,
        make_group: Callable[[int, WorkerGroup], Group],
        queue: QueueClient,
        find_nodes: Callable[[], list[NodeResources]],
    ) -> None:
        super().__init__(name="raynas-pool-supervisor", daemon=True)
        self.request = request
        self.wait_seconds = wait_seconds
        self.make_group = make_group
        self.queue = queue
        self.find_nodes = find_nodes
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
        """Number of workers in all groups, also of those that are still starting."""
        return sum(group.group.num_workers for group in list(self.groups))

    def run(self) -> None:
        # `wait` is the pause and the end in one: it returns at once when the pool is closed.
        while self.error is None and not self._closing.wait(RECONCILE_SECONDS):
            try:
                self.reconcile(self.find_nodes())
            except ConnectionError as error:
                # The driver notices by itself if the queue is lost; any other loss of connection is
                # temporary.
                logger.debug("the cluster or the work queue could not be reached", exc_info=error)
            except Exception as error:
                # The driver raises it: without a supervisor a pool that has lost its workers would wait
                # forever.
                self.error = error

    def add(self, groups: Sequence[WorkerGroup]) -> None:
        """Starts these groups."""
        for group in groups:
            run = self.make_group(self._num_started, group)
            # Never counted down: the queue refuses the workers of a lost group by its name, which must not be
            # used again.
            self._num_started += 1
            self.groups.append(run)
            run.start()

    def reconcile(self, nodes: Sequence[NodeResources]) -> None:
        """Removes groups that have ended or lost their node, and starts others where these nodes have
        room.
        """
        self._note_new_nodes({node.id for node in nodes})
        for group in list(self.groups):
            if group.group.node is not None and group.group.node not in self._known_nodes:
                self._remove_lost(group)
            # A group's thread lasts as long as its Ray Train run, which replaces dead workers by itself.
            elif not group.is_alive():
                self._remove_ended(group)
            else:
                group.locate()
        if self.error is None:
            self._grow(nodes)
            self._fail_if_empty(nodes)

    def close(self, timeout: float) -> None:
        """Waits until the workers return, which the queue has asked them to; ends those that do not."""
        # The supervisor's own thread ends first, or it would start new groups for those that end below.
        self._closing.set()
        self.join()
        deadline = time.monotonic() + timeout
        for group in self.groups:
            group.join(max(deadline - time.monotonic(), 0.0))
        late = [group for group in self.groups if group.is_alive()]
        # All are killed before any is waited for, so that their ends overlap.
        for group in late:
            group.kill()
        for group in late:
            group.clear()
            group.join(timeout)

    def _note_new_nodes(self, ids: set[str]) -> None:
        if ids - self._known_nodes:
            # What kept workers from starting may be different now, such as too few CPUs for a group that
            # Ray places.
            self._failed_starts.clear()
        self._known_nodes = ids

    def _remove_lost(self, group: Group) -> None:
        self._remove(group)
        logger.warning(
            "node %s left the cluster, and with it %d of the workers; %d are left",
            str(group.group.node)[:12],
            group.group.num_workers,
            self.num_workers,
        )

    def _remove_ended(self, group: Group) -> None:
        """Removes a group that ended by itself, and decides whether its node is worth another start."""
        reason = self.queue.failure()
        has_served = self.queue.has_served(group.group_name)
        self._remove(group)
        if reason:
            # A worker gave up for a reason that every other one would meet too.
            self.error = RuntimeError(reason)
            return
        error = group.error or RuntimeError("a worker group ended before the search did")
        self._last_error = error
        self._has_served = self._has_served or has_served
        node = group.group.node
        # A group that has worked shows that the node is sound, so whatever ended it gets as many tries as at
        # first.
        self._failed_starts[node] = 0 if has_served else self._failed_starts[node] + 1
        logger.debug("%s ended: %s", group.group_name, error)
        if self._failed_starts[node] >= MAX_STARTS:
            # Nothing has ever worked here: it is more likely the installation than the cluster.
            if not self.groups and not self._has_served:
                self.error = error
            logger.warning("no worker can be started on node %s: %s", str(node)[:12], error)

    def _remove(self, group: Group) -> None:
        # Evicted first: otherwise a worker of the dying group could take another child.
        self.queue.evict(group.group_name)
        if group.is_alive():
            group.kill()
        group.clear()
        self.groups.remove(group)

    def _grow(self, nodes: Sequence[NodeResources]) -> None:
        # Groups that Ray places have no node, and count under None.
        if self._failed_starts[None] >= MAX_STARTS:
            return
        usable = [node for node in nodes if self._failed_starts[node.id] < MAX_STARTS]
        more = more_groups(self.request, usable, [group.group for group in self.groups])
        self.add(more)
        if more:
            num_more = sum(group.num_workers for group in more)
            logger.info("%d workers start on what has room; %d in all", num_more, self.num_workers)

    def _fail_if_empty(self, nodes: Sequence[NodeResources]) -> None:
        """Ends a search that has had no worker for `wait_seconds`."""
        if self.groups:
            self._empty_since = None
            return
        now = time.monotonic()
        self._empty_since = self._empty_since or now
        if now - self._empty_since >= self.wait_seconds:
            why = f" The last try ended with: {self._last_error}." if self._last_error else ""
            self.error = RuntimeError(
                f"the last of them was lost, and for {self.wait_seconds:g} s no node has had room for "
                f"another. {lack(self.request, nodes)}{why} Add nodes, and resume the search"
            )
