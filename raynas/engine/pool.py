"""ChildPool: Ray Train worker groups that stay up and train one child after another.

A TorchTrainer for each child would cost 16 to 19 CPU-seconds of starting processes; a running worker costs a
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
from raynas.engine.attempts import ChildUpdate, TimeLimit
from raynas.engine.cluster import HEAD_NODE, check_free, nodes, set_start_timeout
from raynas.engine.config import WorkerConfig
from raynas.engine.group import GroupRun, GroupStart
from raynas.engine.pool_plan import PoolPlan, WorkerGroup, plan_what_fits, with_gpus
from raynas.engine.pool_supervisor import CLOSE_TIMEOUT_SECONDS, Group, PoolSupervisor
from raynas.engine.queue_actor import QueueActor
from raynas.engine.worker_settings import TrainerFactory, WorkerSettings
from raynas.errors import SearchFailed

logger = logging.getLogger(__name__)

GROUP_START_TIMEOUT_SECONDS = 180.0
"""How long a group waits for the resources of its workers before it gives up."""
INTERRUPTED_CLOSE_TIMEOUT_SECONDS = 10.0
"""How long an interrupted search waits for its workers before it kills them."""


class _RayQueueClient:
    """The queue actor as a QueueClient of the supervisor."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def failure(self) -> str | None:
        return self._get(self._queue.failure.remote())  # type: ignore[no-any-return]

    def has_served(self, group: str) -> bool:
        return bool(self._get(self._queue.has_served.remote(group)))

    def evict(self, group: str) -> None:
        self._get(self._queue.evict.remote(group))

    def _get(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except RayError as error:
            raise ConnectionError(str(error)) from error


class ChildPool:
    """A pool of workers, which run for the length of a with-block.

    Args:
        factory: makes, in each worker, the function that trains a child.
        data: put into Ray's object store once; every worker on a node maps the same copy.
        config: number and size of the workers.
    Raises:
        DoesNotFit: on entering, when the cluster has no room.
    """

    def __init__(
        self, factory: TrainerFactory, *, data: ImageSplit | None = None, config: WorkerConfig | None = None
    ) -> None:
        live = nodes()
        self.factory = factory
        self.data = data
        self.config = config or WorkerConfig()
        self._request = with_gpus(self.config, live)
        self.plan: PoolPlan = plan_what_fits(self._request, live)
        self._queue_name = f"raynas-queue-{uuid.uuid4().hex[:12]}"
        self._scratch = tempfile.TemporaryDirectory(prefix="raynas-pool-", ignore_cleanup_errors=True)
        self._supervisor: PoolSupervisor | None = None
        self.queue: Any = None
        self._next_updates: Any = None

    @property
    def num_slots(self) -> int:
        """Children that train at the same time; changes as nodes come and go."""
        num_workers = self.plan.num_workers if self._supervisor is None else self._supervisor.num_workers
        return num_workers // self.config.per_child

    @property
    def groups(self) -> list[Group]:
        """The worker groups that run now."""
        return [] if self._supervisor is None else list(self._supervisor.groups)

    def __enter__(self) -> ChildPool:
        check_free(self.plan.num_workers * self.plan.cpus, self.plan.num_gpus)
        if self.plan.notice:
            logger.warning(self.plan.notice)
        # Every waiting worker, and every running child whose worker watches `stopped`, holds a call open.
        actor = ray.remote(QueueActor).options(
            name=self._queue_name, num_cpus=0, max_concurrency=100_000, resources=HEAD_NODE
        )
        self.queue = actor.remote(self.config.max_attempts, self._time_limit, [ray.put(self.data)])
        # After the queue, which every worker looks up by its name as soon as it runs.
        self._start_workers()
        return self

    @property
    def _time_limit(self) -> TimeLimit | None:
        seconds = self.config.time_limit_seconds
        return None if seconds is None else TimeLimit(seconds, self.config.grace_seconds)

    def _start_workers(self) -> None:
        set_start_timeout(GROUP_START_TIMEOUT_SECONDS)
        self._supervisor = PoolSupervisor(
            self._request,
            self.config.wait_seconds,
            self._make_group,
            _RayQueueClient(self.queue),
            nodes,
        )
        self._supervisor.add(self.plan.groups)
        self._supervisor.start()

    def wait_ready(self) -> None:
        """Returns when the first worker asks for a child; SearchFailed if none can be started."""
        ready = self.queue.wait_for_worker.remote()
        # In steps of a second, because an error of the supervisor has to end the wait.
        while not ray.wait([ready], timeout=1.0)[0]:
            self.check()

    def check(self) -> None:
        """Raises SearchFailed if the workers can't be kept running."""
        error = None if self._supervisor is None else self._supervisor.error
        if error is not None:
            raise SearchFailed(f"the workers could not be kept running: {error}") from error

    def begin(self) -> None:
        """Starts a search: children are numbered from 0 again, and updates about earlier ones are discarded.

        Raises:
            SearchFailed: the work queue is gone; `updates` raises it too.
        """
        # Waited for: Ray may run an asynchronous actor's calls in another order than they were sent, and
        # `begin` would throw away a child that was submitted before it.
        self._get(self.queue.begin.remote())
        self._next_updates = self.queue.updates.remote()

    def submit(self, child: Child) -> None:
        """Queues a child."""
        self.queue.submit.remote(child)

    def stop(self, child_id: int) -> None:
        """Ends a child early; its worker takes the next one at once."""
        self.queue.stop.remote(child_id)

    def updates(self, timeout: float) -> list[ChildUpdate]:
        """What happened since the last call, for all children and in order; empty after `timeout` seconds."""
        # One call to the queue is always open, so that updates travel while the driver does something else.
        if not ray.wait([self._next_updates], timeout=timeout)[0]:
            return []
        updates: list[ChildUpdate] = self._get(self._next_updates)
        self._next_updates = self.queue.updates.remote()
        return updates

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        with contextlib.suppress(RayActorError):
            # The queue first: workers that ask for a child, or look whether theirs has to stop, then return
            # by themselves.
            ray.get(self.queue.close.remote())
        # Workers return between two steps of a child. An interrupted driver has little time to wait for them.
        if self._supervisor is not None:
            self._supervisor.close(
                CLOSE_TIMEOUT_SECONDS if kind is None else INTERRUPTED_CLOSE_TIMEOUT_SECONDS
            )
        self._scratch.cleanup()

    def _get(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except RayActorError as error:
            raise SearchFailed(f"the work queue was lost, as if with its node: {error}") from error

    def _make_group(self, number: int, group: WorkerGroup) -> GroupRun:
        settings = WorkerSettings(
            self._queue_name,
            f"group {number}",
            self.factory,
            # A worker with a fraction of a CPU still has one thread.
            max(int(self.plan.cpus), 1),
            self.plan.gpus,
            self.plan.per_child,
            self._time_limit,
            self.config.checkpoint_epochs,
        )
        return GroupRun(GroupStart(group, self.plan.cpus, settings, self._scratch.name), self.queue)
