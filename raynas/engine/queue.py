"""The work queue between trials and workers: the paper's "global workqueue" (Zoph et al. 2018, section 3).

Plain asyncio; pool.py makes a Ray actor of it. A trial submits a child and waits for its news; a worker takes
the oldest child, reports each epoch, and takes the next as it hands in the result.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from raynas.child import Child, ChildResult, EpochReport

REMEMBERED = 1000
"""Ended children whose results are kept, for trials that ask late."""
GONE = ChildResult(status="stopped", reason="it is no longer in the pool")


@dataclass(eq=False)
class _Work:
    """One child on its way through the pool; over when it has a result."""

    child: Child
    reports: deque[EpochReport] = field(default_factory=deque)
    last_epoch: int = 0
    result: ChildResult | None = None
    attempts: int = 0
    has_news: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class News:
    """What a trial hears: an epoch's report, the child's end, or both at once."""

    report: EpochReport | None
    result: ChildResult | None


class WorkQueue:
    """Children waiting, children running, and who waits for them.

    Args:
        max_attempts: a child whose worker dies this often is failed instead of being queued again.
    """

    def __init__(self, max_attempts: int = 3) -> None:
        self._max_attempts = max_attempts
        self._work: dict[int, _Work] = {}
        self._waiting: deque[_Work] = deque()
        self._ended: deque[_Work] = deque()
        self._running: dict[str, _Work] = {}
        self._calls: dict[str, int] = {}
        self._may_take = asyncio.Condition()
        self._has_worker = asyncio.Event()
        self._held_until = 0
        self._is_closed = False
        self._failure: str | None = None

    async def begin(self, num_trials: int) -> None:
        """A search begins: children are numbered anew; none is handed out before so many were submitted.

        Tune reuses a finished trial's actor for the next trial, and gives up the actor that it is still
        starting for it: with quick children it would start and give up processes for ever. So all start
        first.
        """
        for work in list(self._work.values()):
            self._end(work, GONE)
        self._work.clear()
        self._waiting.clear()
        self._ended.clear()
        self._held_until = num_trials

    async def submit(self, child: Child) -> None:
        """Queues a child; one that is queued, running or has just ended is left as it is.

        An actor that Tune has given up for another may still submit its child, late.
        """
        if child.id in self._work:
            return
        self._work[child.id] = _Work(child)
        self._waiting.append(self._work[child.id])
        async with self._may_take:
            self._may_take.notify_all()

    async def take(self, worker: str, finished: tuple[int, ChildResult] | None = None) -> Child | None:
        """The next child for `worker`, waited for; None when the queue is closed.

        A worker that asks while it still holds a child has died and come back: that child is queued again.

        Args:
            finished: the child that the worker has just ended. In one message with the request for the next,
                because Ray may run an asynchronous actor's calls in another order than they were sent.
        """
        if finished is not None:
            self._finish(worker, *finished)
        call = self._calls[worker] = self._calls.get(worker, 0) + 1
        self._has_worker.set()
        self._give_back(worker)
        async with self._may_take:
            # A worker that died while it waited left a call behind: wake it, so that it takes no child.
            self._may_take.notify_all()
            await self._may_take.wait_for(
                lambda: self._is_closed or self._calls[worker] > call or self._has_child_to_give()
            )
            if self._is_closed or self._calls[worker] > call:
                return None
            work = self._waiting.popleft()
            self._held_until = 0
        work.attempts += 1
        self._running[worker] = work
        return work.child

    async def report(self, worker: str, child_id: int, report: EpochReport) -> None:
        """One epoch of a running child; epochs that an earlier attempt has reported are left out."""
        work = self._running.get(worker)
        if work is None or work.child.id != child_id or work.result is not None:
            return
        if report.epoch > work.last_epoch:
            work.last_epoch = report.epoch
            work.reports.append(report)
            work.has_news.set()

    async def finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        """The end of a child whose worker does not take another."""
        self._finish(worker, child_id, result)

    async def news(self, child_id: int) -> News:
        """The child's next report or its end, waited for; of an unknown child that it is gone."""
        work = self._work.get(child_id)
        if work is None:
            return News(None, GONE)
        await work.has_news.wait()
        report = work.reports.popleft() if work.reports else None
        if work.reports:
            return News(report, None)
        if work.result is None:
            work.has_news.clear()
        return News(report, work.result)

    async def stop(self, child_id: int) -> None:
        """Ends a child early: off the queue, or its worker is told; what it still says is thrown away."""
        work = self._work.get(child_id)
        if work is not None:
            self._end(work, GONE)

    async def stopped(self, child_id: int) -> None:
        """Returns when the child has to stop or is over: what its worker watches."""
        work = self._work.get(child_id)
        if work is not None:
            await work.is_over.wait()

    async def wait_for_worker(self) -> None:
        """Returns when the first worker has asked for a child."""
        await self._has_worker.wait()

    async def give_up(self, reason: str) -> None:
        """A worker that can never train: all go home, as a restart would only repeat it."""
        self._failure = self._failure or reason
        self._is_closed = True
        async with self._may_take:
            self._may_take.notify_all()

    async def failure(self) -> str | None:
        """Why a worker gave up, if one did."""
        return self._failure

    async def close(self) -> None:
        """Sends every worker home."""
        self._is_closed = True
        for work in list(self._work.values()):
            self._end(work, GONE)
        async with self._may_take:
            self._may_take.notify_all()

    def _has_child_to_give(self) -> bool:
        return bool(self._waiting) and len(self._work) >= self._held_until

    def _finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        work = self._running.get(worker)
        if work is not None and work.child.id == child_id:
            del self._running[worker]
            self._end(work, result)

    def _end(self, work: _Work, result: ChildResult) -> None:
        """Tells everybody who waits; the first end counts."""
        if work.result is not None:
            return
        work.result = result
        work.has_news.set()
        work.is_over.set()
        if work in self._waiting:
            self._waiting.remove(work)
        self._ended.append(work)
        if len(self._ended) > REMEMBERED:
            self._work.pop(self._ended.popleft().child.id, None)

    def _give_back(self, worker: str) -> None:
        work = self._running.pop(worker, None)
        if work is None or work.result is not None:
            return
        if work.attempts >= self._max_attempts:
            self._end(work, ChildResult(status="failed", reason=f"its worker died {work.attempts} times"))
        else:
            self._waiting.appendleft(work)
