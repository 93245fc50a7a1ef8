"""The work queue between driver and workers: the paper's "global workqueue" (Zoph et al. 2018, section 3).

Plain asyncio; pool.py makes a Ray actor of it. The driver submits children and hears of all of them in one
call at a time; a worker takes the oldest child, reports each epoch, and takes the next as it hands in the
result.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from raynas.child import Child, ChildResult, EpochReport
from raynas.engine.work import MAX_EVICTIONS, Mailbox, News, TimeLimit, Work, died, group_of


class WorkQueue:
    """Children waiting, children running, and who waits for them.

    Args:
        max_attempts: a child whose worker dies this often is failed instead of being queued again.
        time_limit: of one attempt at a child; None: any time.
    """

    def __init__(self, max_attempts: int = 3, time_limit: TimeLimit | None = None) -> None:
        self._max_attempts, self._time_limit = max_attempts, time_limit
        self._work: dict[int, Work] = {}
        self._waiting: deque[Work] = deque()
        self._running: dict[str, Work] = {}
        self._idle: dict[str, asyncio.Future[Child | None]] = {}
        self._mailbox = Mailbox()
        self._has_worker = asyncio.Event()
        self._served: set[str] = set()
        self._gone: set[str] = set()
        self._is_closed = False
        self._failure: str | None = None

    async def begin(self) -> None:
        """A search begins: children are numbered anew, and nothing more is heard of earlier ones."""
        self._end_all()
        self._mailbox.news.clear()
        self._mailbox.has_news.set()
        self._mailbox = Mailbox()

    async def submit(self, child: Child) -> None:
        """Queues a child whose number is new in this search."""
        self._work[child.id] = Work(child)
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
        self._served.add(group_of(worker))
        # A worker that died while it waited left a call behind, which must take no child.
        self._send_home(worker)
        self._give_back(worker)
        if self._is_closed or group_of(worker) in self._gone:
            return None
        if self._waiting:
            return self._hand_out(worker)
        self._idle[worker] = asyncio.get_running_loop().create_future()
        return await self._idle[worker]

    async def report(self, worker: str, child_id: int, report: EpochReport) -> None:
        """One epoch of a running child; epochs that an earlier attempt has reported are left out."""
        work = self._running.get(worker)
        if work is None or work.child.id != child_id or work.has_ended:
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
        """Returns when the child has to stop or has ended: what its worker watches."""
        work = self._work.get(child_id)
        if work is not None:
            await work.must_stop.wait()

    async def lost(self, worker: str, reason: str, *, is_its_own: bool = True) -> None:
        """A worker is gone: its child is queued again at once, or has failed if that happens too often.

        Args:
            is_its_own: what the worker died of may have come from its child; not so if it went with its
                node.
        """
        self._send_home(worker)
        self._give_back(worker, reason, is_its_own=is_its_own)

    async def evict(self, group: str) -> None:
        """A group is gone, through no fault of its children; what is left of it gets no child any more."""
        self._gone.add(group)
        for worker in [*self._running, *self._idle]:
            if group_of(worker) == group:
                await self.lost(worker, "", is_its_own=False)

    async def has_served(self, group: str) -> bool:
        """Whether a worker of the group has ever asked for a child."""
        return group in self._served

    async def save(self, worker: str, child_id: int, state: Any) -> None:
        """Keeps a running child, until it ends, for the case that its worker dies."""
        work = self._running.get(worker)
        if work is not None and work.child.id == child_id and not work.has_ended:
            work.checkpoint = state

    async def saved(self, child_id: int) -> Any:
        """What was kept of a child; None: nothing."""
        work = self._work.get(child_id)
        return work.checkpoint if work is not None else None

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
        self._running[worker] = work
        if self._time_limit is not None:
            loop = asyncio.get_running_loop()
            work.timer = loop.call_later(self._time_limit.seconds, self._call_time, worker, work)
        return work.child

    def _call_time(self, worker: str, work: Work) -> None:
        """The time limit: whether the child is slow or hangs is told by what it does now."""
        assert self._time_limit is not None
        work.is_late = True
        work.must_stop.set()
        loop = asyncio.get_running_loop()
        work.timer = loop.call_later(self._time_limit.grace, self._give_back, worker)

    def _send_home(self, worker: str) -> None:
        call = self._idle.pop(worker, None)
        if call is not None and not call.done():
            call.set_result(None)

    def _finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        work = self._running.get(worker)
        if work is None or work.child.id != child_id:
            return
        del self._running[worker]
        if work.is_late and result.status == "stopped":
            assert self._time_limit is not None
            reason = self._time_limit.too_slow(work.last_epoch)
            result = result.model_copy(update={"status": "failed", "accuracy": None, "reason": reason})
        self._end(work, result)

    def _end(self, work: Work, result: ChildResult | None = None) -> None:
        """The first end counts; without a result nobody is to hear of it."""
        if work.has_ended:
            return
        work.has_ended = True
        work.must_stop.set()
        work.stop_timer()
        del self._work[work.child.id]
        if work in self._waiting:
            self._waiting.remove(work)
        if result is not None:
            self._mailbox.put(News(work.child.id, None, result))

    def _end_all(self) -> None:
        for work in list(self._work.values()):
            self._end(work)

    def _give_back(self, worker: str, reason: str = "", *, is_its_own: bool = True) -> None:
        """The child of a worker that is gone, or that hangs and is about to go."""
        work = self._running.pop(worker, None)
        if work is None or work.has_ended:
            return
        work.stop_timer()
        work.deaths, work.evictions = work.deaths + is_its_own, work.evictions + (not is_its_own)
        if work.is_late:
            assert self._time_limit is not None
            why = self._time_limit.hung if is_its_own else self._time_limit.too_slow
            self._fail(work, why(work.last_epoch), self._time_limit.seconds)
        elif work.deaths >= self._max_attempts:
            self._fail(work, died(work.deaths, reason))
        elif work.evictions >= MAX_EVICTIONS:
            self._fail(work, f"its node or worker group was lost {work.evictions} times")
        else:
            self._waiting.appendleft(work)
            self._serve_idle()

    def _fail(self, work: Work, reason: str, seconds: float = 0.0) -> None:
        self._end(work, ChildResult(status="failed", reason=reason, seconds=seconds))
