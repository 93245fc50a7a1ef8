"""What a Ray Train worker does all its life: takes a child from the queue, trains it, takes the next."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch

from raynas.child import Child, ChildResult, EpochReport, TrainChild
from raynas.data import ImageSplit
from raynas.training import Placement

TrainerFactory = Callable[[Placement, ImageSplit | None], TrainChild]
"""Called once in each worker; what it returns trains one child after another."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker of a group is started with."""

    queue_name: str
    group: int
    factory: TrainerFactory
    num_threads: int
    uses_gpu: bool
    per_child: int


def serve_children(settings: WorkerSettings) -> None:
    """Runs until the queue is closed. An exception in a child is the child's result, and the worker lives
    on.
    """
    try:
        queue = ray.get_actor(settings.queue_name)
    except ValueError:
        # Restarted after the search was over.
        return
    rank = ray.train.get_context().get_world_rank()
    shares = settings.per_child > 1
    placement = Placement(
        device=str(ray.train.torch.get_device()) if settings.uses_gpu else "cpu",
        num_threads=settings.num_threads,
        rank=rank if shares else 0,
        num_ranks=settings.per_child if shares else 1,
    )
    try:
        train = settings.factory(placement, ray.get(ray.get(queue.data.remote())))
    except Exception as error:
        ray.get(queue.give_up.remote(_failure(error).reason))
        return
    _Worker(queue, f"group {settings.group}, rank {rank}", placement, train).serve()


class _Worker:
    def __init__(self, queue: Any, name: str, placement: Placement, train: TrainChild) -> None:
        self.queue, self.name, self.placement, self.train = queue, name, placement, train

    def serve(self) -> None:
        finished: tuple[int, ChildResult] | None = None
        while (child := self._take(finished)) is not None:
            finished = child.id, self._train(child)

    def _take(self, finished: tuple[int, ChildResult] | None) -> Child | None:
        shared: list[Child | None] = [None]
        if self.placement.rank == 0:
            shared = [ray.get(self.queue.take.remote(self.name, finished))]
        if self.placement.num_ranks > 1:
            torch.distributed.broadcast_object_list(shared, src=0)
        return shared[0]

    def _train(self, child: Child) -> ChildResult:
        # Resolves as soon as a scheduler ends the child: asking it costs no message.
        stopped = self.queue.stopped.remote(child.id) if self.placement.rank == 0 else None
        began = time.perf_counter()

        def report(report: EpochReport) -> None:
            self.queue.report.remote(self.name, child.id, report)

        def should_stop() -> bool:
            return stopped is not None and bool(ray.wait([stopped], timeout=0)[0])

        try:
            return self.train(child, report, should_stop)
        except Exception as error:
            if self.placement.num_ranks > 1:
                # The other ranks wait in a collective for this one: only a restart of the group frees them.
                failed = _failure(error, time.perf_counter() - began)
                ray.get(self.queue.finish.remote(self.name, child.id, failed))
                raise
            return _failure(error, time.perf_counter() - began)


def _failure(error: Exception, seconds: float = 0.0) -> ChildResult:
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        reason = "out of GPU memory: use a smaller child.batch_size or network"
        return ChildResult(status="failed", seconds=seconds, reason=reason)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return ChildResult(
        status="failed",
        seconds=seconds,
        reason=f"{type(error).__name__}: {error} (in {place.name}, {place.filename}, line {place.lineno})"[
            :1000
        ],
    )
