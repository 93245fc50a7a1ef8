"""ChildPool: Ray Train worker groups that stay up and train one child after another.

A TorchTrainer for each child would cost 16 to 19 CPU-seconds of starting processes; a warm worker costs a
message.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import time
import uuid
from types import TracebackType
from typing import Any

import ray
import ray.train
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from raynas.child import Child
from raynas.data import ImageSplit
from raynas.engine.cluster import HEAD_NODE, check_free, nodes, set_patience
from raynas.engine.config import WorkerConfig
from raynas.engine.plan import PoolPlan, WorkerGroup, plan_pool
from raynas.engine.queue import News, WorkQueue
from raynas.engine.worker import TrainerFactory, WorkerSettings, serve_children
from raynas.errors import SearchFailed

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 180.0
INTERRUPTED_SECONDS = 10.0
"""How long an interrupted search waits for its workers before it leaves them to Ray."""


class QueueActor(WorkQueue):
    """The WorkQueue as an actor, with the data set that every worker needs."""

    def __init__(self, max_attempts: int, data: list[Any]) -> None:
        super().__init__(max_attempts)
        # A reference in a list is handed on as a reference: each node fetches the arrays once, into shared
        # memory.
        self._data = data

    async def data(self) -> Any:
        return self._data[0]


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
        self.factory, self.data, self.config = factory, data, config or WorkerConfig()
        self.plan: PoolPlan = plan_pool(self.config, nodes())
        self.error: Exception | None = None
        self._name = f"raynas-queue-{uuid.uuid4().hex[:12]}"
        self._scratch = tempfile.TemporaryDirectory(prefix="raynas-pool-", ignore_cleanup_errors=True)
        self._threads: list[threading.Thread] = []
        self._is_closing = False
        self.queue: Any = None
        self._coming: Any = None

    def __enter__(self) -> ChildPool:
        check_free(self.plan.num_workers * self.plan.cpus, self.plan.num_workers * self.plan.gpus)
        actor = ray.remote(QueueActor).options(
            name=self._name, num_cpus=0, max_concurrency=100_000, resources=HEAD_NODE
        )
        self.queue = actor.remote(self.config.max_attempts, [ray.put(self.data)])
        self._start_workers()
        return self

    def _start_workers(self) -> None:
        for index, group in enumerate(self.plan.groups):
            thread = threading.Thread(
                target=self._run_group, args=(index, group), name=f"raynas-group-{index}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def wait_ready(self) -> None:
        """Returns when the first worker asks for a child; SearchFailed if none can be started."""
        ready = self.queue.wait_for_worker.remote()
        while not ray.wait([ready], timeout=1.0)[0]:
            self.check()

    def check(self) -> None:
        """SearchFailed if a worker group is gone for good."""
        if self.error is not None:
            raise SearchFailed(f"the workers could not be kept running: {self.error}") from self.error

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
        self._is_closing = True
        with contextlib.suppress(RayActorError):
            ray.get(self.queue.close.remote())
        # Workers go home between two steps of a child; after an interruption they are not waited for long.
        deadline = time.monotonic() + INTERRUPTED_SECONDS
        for thread in self._threads:
            thread.join(timeout=None if kind is None else max(deadline - time.monotonic(), 0.0))
        self._scratch.cleanup()

    def _get(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except RayActorError as error:
            raise SearchFailed(f"the work queue was lost, as if with its node: {error}") from error

    def _run_group(self, index: int, group: WorkerGroup) -> None:
        try:
            self._trainer(index, group).fit()
            if not self._is_closing:
                reason = ray.get(self.queue.failure.remote())
                self.error = RuntimeError(reason or "a worker group ended before the search did")
        except Exception as error:
            logger.debug("worker group %d ended", index, exc_info=True)
            self.error = error

    def _trainer(self, index: int, group: WorkerGroup) -> TorchTrainer:
        set_patience(PATIENCE_SECONDS)
        plan = self.plan
        resources: dict[str, float] = {"CPU": plan.cpus}
        if plan.gpus:
            resources["GPU"] = plan.gpus
        if group.node is not None:
            resources[f"node:{group.node}"] = 0.0001
        settings = WorkerSettings(
            self._name, index, self.factory, max(int(plan.cpus), 1), plan.gpus > 0, plan.per_child
        )
        # Two ranks on one card can't speak NCCL, and ranks that train their own children have nothing to say.
        backend = "nccl" if plan.per_child > 1 and plan.gpus >= 1 else "gloo"
        return TorchTrainer(
            serve_children,
            train_loop_config=settings,
            torch_config=TorchConfig(backend=backend),
            scaling_config=ScalingConfig(
                num_workers=group.num_workers, use_gpu=plan.gpus > 0, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=f"group-{index}",
                storage_path=self._scratch.name,
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=1),
            ),
        )
