"""The loop of a Ray Train worker: takes a child from the queue, trains it, takes the next."""

from __future__ import annotations

import contextlib
import faulthandler
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
import ray.train
import ray.train.torch
import ray.util
import torch

from raynas.child import Child, ChildResult, EpochReport, TrainChild
from raynas.engine.attempts import TimeLimit, worker_name
from raynas.engine.reasons import failed_result
from raynas.engine.worker_settings import WorkerSettings
from raynas.training.device import Placement
from raynas.training.trainer import Resumable

CONTEXT_BYTES = 600 * 2**20
"""GPU memory that a process uses before it allocates anything: CUDA's context and its kernels."""
STDERR = 2
"""File descriptor. Ray redirects it to the worker's log, and replaces sys.stderr by an object without one."""


def serve_children(settings: WorkerSettings) -> None:
    """Trains children until the queue is closed. An exception in a child becomes the child's result, and the
    worker goes on with the next.
    """
    try:
        queue = ray.get_actor(settings.queue_name)
    except ValueError:
        # Ray Train restarted this worker after the search had ended.
        return
    # Not waited for: the driver needs it only if the group has to be removed.
    queue.set_placement_group.remote(settings.group, ray.util.get_current_placement_group())
    rank = ray.train.get_context().get_world_rank()
    shares = settings.per_child > 1
    placement = Placement(
        device=str(ray.train.torch.get_device()) if settings.gpus else "cpu",
        num_threads=settings.num_threads,
        rank=rank if shares else 0,
        num_ranks=settings.per_child if shares else 1,
    )
    try:
        # A worker with whole GPUs shares them with nobody.
        if 0 < settings.gpus < 1:
            _limit_memory(placement.device, settings.gpus)
        # The first get returns a reference, the second the data, from this node's shared memory.
        train = settings.factory(placement, ray.get(ray.get(queue.data.remote())))
    except Exception as error:
        # Waited for: the worker returns right after it, and its process may end before a message has left.
        ray.get(queue.give_up.remote(failed_result(error).reason))
        return
    worker = _Worker(
        queue,
        worker_name(settings.group, rank),
        placement,
        train,
        time_limit=settings.time_limit,
        checkpoint_epochs=settings.checkpoint_epochs,
    )
    worker.serve()


def _limit_memory(device: str, gpus: float) -> None:
    """Limits this process to its worker's share of a GPU, so that too large a child fails alone."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(max(gpus - CONTEXT_BYTES / total, 0.01), device)


class _Worker:
    def __init__(
        self,
        queue: Any,
        name: str,
        placement: Placement,
        train: TrainChild,
        *,
        time_limit: TimeLimit | None = None,
        checkpoint_epochs: int = 0,
    ) -> None:
        self.queue = queue
        self.name = name
        self.placement = placement
        self.train = train
        self.time_limit = time_limit
        self.checkpoint_epochs = checkpoint_epochs

    def serve(self) -> None:
        finished: tuple[int, ChildResult] | None = None
        while (child := self._take(finished)) is not None:
            finished = child.id, self._train(child)

    def _take(self, finished: tuple[int, ChildResult] | None) -> Child | None:
        # Rank 0 asks for all ranks that share a child; the result that goes with the question is its own.
        shared: list[Child | None] = [None]
        if self.placement.rank == 0:
            shared = [ray.get(self.queue.take.remote(self.name, finished))]
        if self.placement.num_ranks > 1:
            torch.distributed.broadcast_object_list(shared, src=0)
        return shared[0]

    def _train(self, child: Child) -> ChildResult:
        # Resolves as soon as the child has to stop, so that each look at it is local and costs no message.
        # Rank 0 alone asks; the training loop tells the other ranks (Placement.agree).
        stopped = self.queue.stopped.remote(child.id) if self.placement.rank == 0 else None
        began = time.perf_counter()

        def report_epoch(report: EpochReport) -> None:
            self.queue.report.remote(self.name, child.id, report)

        def should_stop() -> bool:
            return stopped is not None and bool(ray.wait([stopped], timeout=0)[0])

        train = self.train
        if self.checkpoint_epochs and isinstance(train, Resumable):
            checkpoints = _QueueCheckpoints(self.queue, self.name, child.id, self.checkpoint_epochs)
            train = train.with_checkpoints(checkpoints)
        try:
            with _killed_if_hanging(self.time_limit):
                return train(child, report_epoch, should_stop)
        # SystemExit too: code that a child runs may call sys.exit, which must not end the worker.
        except (Exception, SystemExit) as error:
            result = failed_result(error, time.perf_counter() - began)
            if self.placement.num_ranks > 1:
                # The other ranks wait in a collective for this one: only a restart of the group frees them.
                ray.get(self.queue.finish.remote(self.name, child.id, result))
                raise
        if self.placement.device != "cpu":
            # After the except block, whose traceback keeps the child's tensors alive.
            torch.cuda.empty_cache()
        return result


@contextlib.contextmanager
def _killed_if_hanging(limit: TimeLimit | None) -> Iterator[None]:
    """Ends this process if the block takes longer than a child may; Ray Train starts another in its place.

    faulthandler waits in a thread written in C, which also runs while a child holds Python's global lock.
    """
    if limit is None:
        yield
        return
    # About when the queue's second timer fires, which then hands the child's failure to the driver.
    faulthandler.dump_traceback_later(limit.seconds + limit.grace, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@dataclass(frozen=True)
class _QueueCheckpoints:
    """One child's checkpoints, kept in the queue, which is on the head node and in reach of every worker."""

    queue: Any
    worker: str
    child_id: int
    every_epochs: int

    def load(self) -> bytes | None:
        state: bytes | None = ray.get(self.queue.saved.remote(self.child_id))
        return state

    def save(self, epoch: int, state: bytes) -> None:
        # Not waited for, so that training goes on. If it is lost with the worker, the checkpoint before it
        # counts.
        self.queue.save.remote(self.worker, self.child_id, state)

    def is_due(self, epoch: int) -> bool:
        return epoch % self.every_epochs == 0
