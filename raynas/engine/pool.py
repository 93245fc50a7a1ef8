"""ChildPool: Ray Train worker groups that stay up and train one child after another.

A TorchTrainer for each child would cost 16 to 19 CPU-seconds of starting processes; a warm worker costs a
message.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import uuid
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from raynas.child import Child
from raynas.data import ImageSplit
from raynas.engine.cluster import HEAD_NODE, check_free, nodes, set_patience
from raynas.engine.config import WorkerConfig
from raynas.engine.group import GroupRun, GroupStart
from raynas.engine.keeper import CLOSING_SECONDS, Group, Keeper
from raynas.engine.pool_plan import PoolPlan, WorkerGroup, plan_what_fits, settled
from raynas.engine.queue import WorkQueue
from raynas.engine.work import News, TimeLimit
from raynas.engine.worker import TrainerFactory, WorkerSettings
from raynas.errors import SearchFailed

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 180.0
INTERRUPTED_SECONDS = 10.0
"""How long an interrupted search waits for its workers before it ends them."""


class QueueActor(WorkQueue):
    """The WorkQueue as an actor, with the data set that every worker needs and who controls the groups."""

    def __init__(self, max_attempts: int, time_limit: TimeLimit | None, data: list[Any]) -> None:
        super().__init__(max_attempts, time_limit)
        # A reference in a list is handed on as a reference: each node fetches the arrays once, into shared
        # memory.
        self._data = data
        self._controllers: dict[str, Any] = {}
        self._places: dict[str, Any] = {}

    async def data(self) -> Any:
        return self._data[0]

    async def introduce(self, group: str, controller: Any) -> None:
        self._controllers[group] = controller

    async def occupy(self, group: str, place: Any) -> None:
        self._places[group] = place

    async def whereabouts(self, group: str) -> tuple[Any, Any]:
        """The controller of a group's Ray Train run and the placement group of its workers; None: not yet."""
        return self._controllers.get(group), self._places.get(group)

    async def save(self, worker: str, child_id: int, state: Any) -> None:
        # In Ray's store, which spills to disk, and owned here: it must outlive its worker.
        await super().save(worker, child_id, ray.put(state))

    async def saved(self, child_id: int) -> Any:
        reference = await super().saved(child_id)
        return None if reference is None else await reference


class _QueueDesk:
    """The queue as the keeper asks it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def failure(self) -> str | None:
        return self._ask(self._queue.failure.remote())  # type: ignore[no-any-return]

    def has_served(self, group: str) -> bool:
        return bool(self._ask(self._queue.has_served.remote(group)))

    def evict(self, group: str) -> None:
        self._ask(self._queue.evict.remote(group))

    def _ask(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except RayError as error:
            raise ConnectionError(str(error)) from error


class ChildPool:
    """Workers for the length of a with-block.

    Args:
        factory: makes, in each worker, the function that trains a child.
        data: put into Ray's object store once; every worker on a node maps the same copy.
        config: how many workers, how large.
    Raises:
        DoesNotFit: on entering, when the cluster has no room.
    """

    def __init__(
        self, factory: TrainerFactory, *, data: ImageSplit | None = None, config: WorkerConfig | None = None
    ) -> None:
        live = nodes()
        self.factory, self.data, self.config = factory, data, settled(config or WorkerConfig(), live)
        self.plan: PoolPlan = plan_what_fits(self.config, live)
        self._name = f"raynas-queue-{uuid.uuid4().hex[:12]}"
        self._scratch = tempfile.TemporaryDirectory(prefix="raynas-pool-", ignore_cleanup_errors=True)
        self._keeper: Keeper | None = None
        self.queue: Any = None
        self._coming: Any = None

    @property
    def num_slots(self) -> int:
        """Children that train at the same time; changes as nodes come and go."""
        num_workers = self.plan.num_workers if self._keeper is None else self._keeper.num_workers
        return num_workers // self.config.per_child

    @property
    def groups(self) -> list[Group]:
        """The worker groups at work just now."""
        return [] if self._keeper is None else list(self._keeper.groups)

    def __enter__(self) -> ChildPool:
        check_free(self.plan.num_workers * self.plan.cpus, self.plan.num_gpus)
        if self.plan.notice:
            logger.warning(self.plan.notice)
        actor = ray.remote(QueueActor).options(
            name=self._name, num_cpus=0, max_concurrency=100_000, resources=HEAD_NODE
        )
        self.queue = actor.remote(self.config.max_attempts, self._time_limit, [ray.put(self.data)])
        self._start_workers()
        return self

    @property
    def _time_limit(self) -> TimeLimit | None:
        seconds = self.config.time_limit_seconds
        return None if seconds is None else TimeLimit(seconds, self.config.grace_seconds)

    def _start_workers(self) -> None:
        set_patience(PATIENCE_SECONDS)
        self._keeper = Keeper(self.config, self._make_group, _QueueDesk(self.queue), nodes)
        self._keeper.add(self.plan.groups)
        self._keeper.start()

    def wait_ready(self) -> None:
        """Returns when the first worker asks for a child; SearchFailed if none can be started."""
        ready = self.queue.wait_for_worker.remote()
        while not ray.wait([ready], timeout=1.0)[0]:
            self.check()

    def check(self) -> None:
        """SearchFailed if the workers are gone for good."""
        error = None if self._keeper is None else self._keeper.error
        if error is not None:
            raise SearchFailed(f"the workers could not be kept running: {error}") from error

    def begin(self) -> None:
        """A search begins: children are numbered anew, and nothing more is heard of earlier ones.

        Raises:
            SearchFailed: the work queue is gone; so `news`.
        """
        self._get(self.queue.begin.remote())
        self._coming = self.queue.news.remote()

    def submit(self, child: Child) -> None:
        """Queues a child."""
        self.queue.submit.remote(child)

    def stop(self, child_id: int) -> None:
        """Ends a child early; its worker takes the next one at once."""
        self.queue.stop.remote(child_id)

    def news(self, timeout: float) -> list[News]:
        """What happened since the last call, of all children and in order; empty after `timeout` seconds."""
        if not ray.wait([self._coming], timeout=timeout)[0]:
            return []
        news: list[News] = self._get(self._coming)
        self._coming = self.queue.news.remote()
        return news

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        with contextlib.suppress(RayActorError):
            ray.get(self.queue.close.remote())
        # Workers go home between two steps of a child; after an interruption they are not waited for long.
        if self._keeper is not None:
            self._keeper.close(CLOSING_SECONDS if kind is None else INTERRUPTED_SECONDS)
        self._scratch.cleanup()

    def _get(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except RayActorError as error:
            raise SearchFailed(f"the work queue was lost, as if with its node: {error}") from error

    def _make_group(self, number: int, group: WorkerGroup) -> GroupRun:
        settings = WorkerSettings(
            self._name,
            f"group {number}",
            self.factory,
            max(int(self.plan.cpus), 1),
            self.plan.gpus,
            self.plan.per_child,
            self._time_limit,
            self.config.checkpoint_epochs,
        )
        return GroupRun(GroupStart(group, self.plan.cpus, settings, self._scratch.name), self.queue)
