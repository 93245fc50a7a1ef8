"""Work queues and what goes through them, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from raynas.child import Child, ChildResult, EpochReport
from raynas.engine.attempts import TimeLimit
from raynas.engine.queue import WorkQueue
from search_spaces.nasnet import NASNET_A

ARCH_ID = NASNET_A.arch_id


def child(id: int) -> Child:
    return Child(id, NASNET_A, ARCH_ID, seed=id)


def report(epoch: int) -> EpochReport:
    return EpochReport(epoch=epoch, accuracy=0.5, train_loss=1.0, seconds=float(epoch))


def done(accuracy: float = 0.5) -> ChildResult:
    return ChildResult(status="completed", accuracy=accuracy)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Runs a scenario; one that waits for what never comes fails instead of hanging."""
    asyncio.run(asyncio.wait_for(scenario, timeout=20))


async def started(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """The call as a task that has gone as far as it can without anybody else."""
    task = asyncio.create_task(call)
    await run_all_ready()
    return task


async def run_all_ready() -> None:
    """Every task that can go on has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def queue_with(*ids: int, max_attempts: int = 3, time_limit: TimeLimit | None = None) -> WorkQueue:
    queue = WorkQueue(max_attempts, time_limit)
    for id in ids:
        await queue.submit(child(id))
    return queue


async def taken(queue: WorkQueue, worker: str = "w", finished: Any = None) -> int | None:
    found = await queue.take(worker, finished)
    return None if found is None else found.id
