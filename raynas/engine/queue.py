"""The work queue between driver and workers: the paper's "global workqueue" (Zoph et al. 2018, section 3).

Plain asyncio; pool.py makes a Ray actor of it. The driver submits children and hears of all of them in one
call at a time; a worker takes the oldest child, reports each epoch, and takes the next as it hands in the
result.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from raynas.child import Child, ChildResult, EpochReport


@dataclass(eq=False)
class _Work:
    """One child on its way through the pool."""

    child: Child
    last_epoch: int = 0
    attempts: int = 0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class News:
    """An epoch's report of a child, or its end."""

    child_id: int
    report: EpochReport | None
    result: ChildResult | None


class _Mailbox:
    """News that the driver has not heard yet."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.has_news = asyncio.Event()

    def put(self, news: News) -> None:
        self.news.append(news)
        self.has_news.set()


class WorkQueue:
    """Children waiting, children running, and who waits for them.

    Args:
        max_attempts: a child whose worker dies this often is failed instead of being queued again.
    """

    def __init__(self, max_attempts: int = 3) -> None:
        self._max_attempts = max_attempts
        self._work: dict[int, _Work] = {}
        self._waiting: deque[_Work] = deque()
        self._running: dict[str, _Work] = {}
        self._idle: dict[str, asyncio.Future[Child | None]] = {}
        self._mailbox = _Mailbox()
        self._has_worker = asyncio.Event()
        self._is_closed = False
        self._failure: str | None = None

    async def begin(self) -> None:
        """A search begins: children are numbered anew, and nothing more is heard of earlier ones."""
        self._end_all()
        self._mailbox.news.clear()
        self._mailbox.has_news.set()
        self._mailbox = _Mailbox()

    async def submit(self, child: Child) -> None:
        """Queues a child whose number is new in this search."""
        self._work[child.id] = _Work(child)
        self._waiting.append(self._work[child.id])
        self._serve_idle()

    async def take(self, worker: str, finished: tuple[int, ChildResult] | None = None) -> Child | None:
        """The next child for `worker`, waited for; None when the queue is closed.

        A worker that asks while it still holds a child has died and come back: that child is queued again.

        Args:
            finished: the child that the worker has just ended. In one message with the request for the next,
                because Ray may run an asynchronous actor's calls in another order than they were sent.
        """
        if finished is not None:
            self._finish(worker, *finished)
        self._has_worker.set()
        self._give_back(worker)
        # A worker that died while it waited left a call behind, which must take no child.
        self._send_home(worker)
        if self._is_closed:
            return None
        if self._waiting:
            return self._hand_out(worker)
        self._idle[worker] = asyncio.get_running_loop().create_future()
        return await self._idle[worker]

    async def report(self, worker: str, child_id: int, report: EpochReport) -> None:
        """One epoch of a running child; epochs that an earlier attempt has reported are left out."""
        work = self._running.get(worker)
        if work is None or work.child.id != child_id or work.is_over.is_set():
            return
        if report.epoch > work.last_epoch:
            work.last_epoch = report.epoch
            self._mailbox.put(News(child_id, report, None))

    async def finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        """The end of a child whose worker does not take another."""
        self._finish(worker, child_id, result)

    async def news(self) -> list[News]:
        """What happened since the last call, of all children and in order; waited for.

        For one caller at a time. Empty when another search has begun meanwhile.
        """
        mailbox = self._mailbox
        await mailbox.has_news.wait()
        mailbox.has_news.clear()
        news, mailbox.news = mailbox.news, []
        return news

    async def stop(self, child_id: int) -> None:
        """Ends a child early: off the queue, or its worker is told; what it still says is thrown away."""
        work = self._work.get(child_id)
        if work is not None:
            self._end(work)

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
        self._close()

    async def failure(self) -> str | None:
        """Why a worker gave up, if one did."""
        return self._failure

    async def close(self) -> None:
        """Sends every worker home."""
        self._end_all()
        self._close()

    def _close(self) -> None:
        self._is_closed = True
        for worker in list(self._idle):
            self._send_home(worker)

    def _serve_idle(self) -> None:
        while self._waiting and self._idle:
            worker = next(iter(self._idle))
            call = self._idle.pop(worker)
            if not call.done():
                call.set_result(self._hand_out(worker))

    def _hand_out(self, worker: str) -> Child:
        work = self._waiting.popleft()
        work.attempts += 1
        self._running[worker] = work
        return work.child

    def _send_home(self, worker: str) -> None:
        call = self._idle.pop(worker, None)
        if call is not None and not call.done():
            call.set_result(None)

    def _finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        work = self._running.get(worker)
        if work is not None and work.child.id == child_id:
            del self._running[worker]
            self._end(work, result)

    def _end(self, work: _Work, result: ChildResult | None = None) -> None:
        """The first end counts; without a result nobody is to hear of it."""
        if work.is_over.is_set():
            return
        work.is_over.set()
        del self._work[work.child.id]
        if work in self._waiting:
            self._waiting.remove(work)
        if result is not None:
            self._mailbox.put(News(work.child.id, None, result))

    def _end_all(self) -> None:
        for work in list(self._work.values()):
            self._end(work)

    def _give_back(self, worker: str) -> None:
        work = self._running.pop(worker, None)
        if work is None or work.is_over.is_set():
            return
        if work.attempts >= self._max_attempts:
            self._end(work, ChildResult(status="failed", reason=f"its worker died {work.attempts} times"))
        else:
            self._waiting.appendleft(work)
