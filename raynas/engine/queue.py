"""The work queue between driver and workers: the paper's "global workqueue" (Zoph et al. 2018, section 3).

Plain asyncio; pool.py makes a Ray actor of it. The driver submits children and fetches the updates about all
of them in one call. A worker takes the oldest child, reports each epoch, and takes the next child as it hands
in the result.

All state changes between two awaits, and asyncio runs one coroutine at a time, so that nothing here needs a
lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from raynas.child import Child, ChildResult, EpochReport
from raynas.engine.attempts import (
    MAX_EVICTIONS,
    Attempt,
    ChildUpdate,
    Mailbox,
    TimeLimit,
    died,
    group_of,
)


class WorkQueue:
    """Children that wait, children that are being trained, and workers that wait for a child.

    Args:
        max_attempts: number of workers that may die while they train a child; then the child has failed.
        time_limit: limit of one attempt at a child; None means no limit.
    """

    def __init__(self, max_attempts: int = 3, time_limit: TimeLimit | None = None) -> None:
        self._max_attempts = max_attempts
        self._time_limit = time_limit
        self._attempts: dict[int, Attempt] = {}
        self._waiting: deque[Attempt] = deque()
        self._running: dict[str, Attempt] = {}
        self._idle: dict[str, asyncio.Future[Child | None]] = {}
        self._mailbox = Mailbox()
        self._has_worker = asyncio.Event()
        self._served_groups: set[str] = set()
        self._evicted_groups: set[str] = set()
        self._is_closed = False
        self._failure: str | None = None

    async def begin(self) -> None:
        """Starts a search: children are numbered from 0 again, and updates about earlier ones are
        discarded.
        """
        # Children of the search before may still be trained; their workers stop, and late results of them are
        # dropped.
        self._end_all()
        # A call to `updates` that the earlier search left behind still waits on the old mailbox. It has to
        # return, empty, and must not take updates of the new search.
        self._mailbox.updates.clear()
        self._mailbox.has_updates.set()
        self._mailbox = Mailbox()

    async def submit(self, child: Child) -> None:
        """Adds a child, whose id must be new in this search."""
        self._attempts[child.id] = Attempt(child)
        self._waiting.append(self._attempts[child.id])
        self._serve_idle()

    async def take(self, worker: str, finished: tuple[int, ChildResult] | None = None) -> Child | None:
        """Returns the next child for `worker` as soon as there is one; None when the queue is closed.

        If the queue believes that the worker still trains a child, the worker has died and was restarted:
        that child is queued again.

        Args:
            finished: id and result of the child that the worker has just ended. They come in one message with
                the request for the next child, because Ray may run an asynchronous actor's calls in another
                order than they were sent.
        """
        if finished is not None:
            self._finish(worker, *finished)
        self._has_worker.set()
        self._served_groups.add(group_of(worker))
        # A worker that died while it waited left a call behind, which must not take a child.
        self._dismiss(worker)
        self._requeue_child_of(worker)
        if self._is_closed or group_of(worker) in self._evicted_groups:
            return None
        if self._waiting:
            return self._hand_out(worker)
        self._idle[worker] = asyncio.get_running_loop().create_future()
        return await self._idle[worker]

    async def report(self, worker: str, child_id: int, report: EpochReport) -> None:
        """Takes the report of an epoch; those that an earlier attempt has sent already are left out."""
        attempt = self._running_attempt(worker, child_id)
        if attempt is not None and not attempt.has_ended and report.epoch > attempt.last_epoch:
            attempt.last_epoch = report.epoch
            self._mailbox.put(ChildUpdate(child_id, report, None))

    async def finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        """Takes the result of a child whose worker does not ask for another one."""
        self._finish(worker, child_id, result)

    async def updates(self) -> list[ChildUpdate]:
        """What happened since the last call, for all children and in order, as soon as there is something.

        For one caller at a time. Empty if another search has begun meanwhile.
        """
        mailbox = self._mailbox
        await mailbox.has_updates.wait()
        mailbox.has_updates.clear()
        updates = mailbox.updates
        mailbox.updates = []
        return updates

    async def stop(self, child_id: int) -> None:
        """Ends a child early, without a result: it leaves the queue, or its worker is asked to stop."""
        attempt = self._attempts.get(child_id)
        if attempt is not None:
            self._end(attempt)

    async def stopped(self, child_id: int) -> None:
        """Returns when the child has to stop or has ended; its worker watches this call."""
        attempt = self._attempts.get(child_id)
        if attempt is not None:
            await attempt.must_stop.wait()

    async def lost(self, worker: str, reason: str, *, caused_by_child: bool = True) -> None:
        """Handles a dead worker: its child is queued again at once, or fails if that has happened too often.

        Args:
            caused_by_child: whether the child may be why the worker died; False if it went with its node.
        """
        self._dismiss(worker)
        self._requeue_child_of(worker, reason, caused_by_child=caused_by_child)

    async def evict(self, group: str) -> None:
        """Handles a lost group: its children are queued again, and workers left of it get no more
        children.
        """
        self._evicted_groups.add(group)
        for worker in [*self._running, *self._idle]:
            if group_of(worker) == group:
                await self.lost(worker, "", caused_by_child=False)

    async def has_served(self, group: str) -> bool:
        """Whether a worker of the group has ever asked for a child."""
        return group in self._served_groups

    async def save(self, worker: str, child_id: int, state: Any) -> None:
        """Keeps a running child's checkpoint until the child ends, in case its worker dies."""
        attempt = self._running_attempt(worker, child_id)
        if attempt is not None and not attempt.has_ended:
            attempt.checkpoint = state

    async def saved(self, child_id: int) -> Any:
        """The last checkpoint of a child; None if there is none."""
        attempt = self._attempts.get(child_id)
        return attempt.checkpoint if attempt is not None else None

    async def wait_for_worker(self) -> None:
        """Returns when the first worker has asked for a child."""
        await self._has_worker.wait()

    async def give_up(self, reason: str) -> None:
        """Closes the queue for a worker that can never train: a restart would only repeat the error."""
        self._failure = self._failure or reason
        self._close()

    async def failure(self) -> str | None:
        """Why a worker gave up, if one did."""
        return self._failure

    async def close(self) -> None:
        """Ends all children, and lets every worker return."""
        self._end_all()
        self._close()

    def _close(self) -> None:
        self._is_closed = True
        for worker in list(self._idle):
            self._dismiss(worker)

    def _running_attempt(self, worker: str, child_id: int) -> Attempt | None:
        """The attempt of this worker at this child; None if the worker lost it meanwhile."""
        attempt = self._running.get(worker)
        return attempt if attempt is not None and attempt.child.id == child_id else None

    def _serve_idle(self) -> None:
        while self._waiting and self._idle:
            # The one that has waited longest, as a dict keeps the order of insertion.
            worker = next(iter(self._idle))
            call = self._idle.pop(worker)
            # A call that was cancelled must not take a child with it.
            if not call.done():
                call.set_result(self._hand_out(worker))

    def _hand_out(self, worker: str) -> Child:
        attempt = self._waiting.popleft()
        self._running[worker] = attempt
        if self._time_limit is not None:
            loop = asyncio.get_running_loop()
            attempt.timer = loop.call_later(self._time_limit.seconds, self._call_time, worker, attempt)
        return attempt.child

    def _call_time(self, worker: str, attempt: Attempt) -> None:
        """Asks a child to stop at its time limit. What it does within the grace time tells slow from
        hanging.
        """
        assert self._time_limit is not None
        attempt.is_late = True
        attempt.must_stop.set()
        loop = asyncio.get_running_loop()
        # The worker can't be training another child when this fires: whatever ends an attempt stops its
        # timer.
        attempt.timer = loop.call_later(self._time_limit.grace, self._requeue_child_of, worker)

    def _dismiss(self, worker: str) -> None:
        """Answers a waiting worker that there is no child for it."""
        call = self._idle.pop(worker, None)
        if call is not None and not call.done():
            call.set_result(None)

    def _finish(self, worker: str, child_id: int, result: ChildResult) -> None:
        attempt = self._running_attempt(worker, child_id)
        if attempt is None:
            return
        del self._running[worker]
        if attempt.is_late and result.status == "stopped":
            assert self._time_limit is not None
            reason = self._time_limit.too_slow(attempt.last_epoch)
            # Stopped by the time limit and not by a scheduler, so its last accuracy is no result.
            result = result.model_copy(update={"status": "failed", "accuracy": None, "reason": reason})
        self._end(attempt, result)

    def _end(self, attempt: Attempt, result: ChildResult | None = None) -> None:
        """Ends a child. Its first end counts; without a result the driver gets no update."""
        if attempt.has_ended:
            return
        attempt.has_ended = True
        attempt.must_stop.set()
        attempt.stop_timer()
        del self._attempts[attempt.child.id]
        if attempt in self._waiting:
            self._waiting.remove(attempt)
        if result is not None:
            self._mailbox.put(ChildUpdate(attempt.child.id, None, result))

    def _end_all(self) -> None:
        for attempt in list(self._attempts.values()):
            self._end(attempt)

    def _requeue_child_of(self, worker: str, reason: str = "", *, caused_by_child: bool = True) -> None:
        """Queues the child of a dead or hanging worker again, at the front, or fails it."""
        attempt = self._running.pop(worker, None)
        # A child that was stopped stays in `_running` until its worker comes back. If the worker dies
        # instead, there is nothing to queue again.
        if attempt is None or attempt.has_ended:
            return
        attempt.stop_timer()
        if attempt.is_late:
            self._fail_late(attempt, is_hanging=caused_by_child)
        elif caused_by_child:
            self._count_death(attempt, reason)
        else:
            self._count_eviction(attempt)
        if not attempt.has_ended:
            # At the front, since it is the oldest and the strategy has waited for it longest.
            self._waiting.appendleft(attempt)
            self._serve_idle()

    def _fail_late(self, attempt: Attempt, *, is_hanging: bool) -> None:
        """Fails a child beyond its time limit; one whose node was lost may have been about to stop."""
        assert self._time_limit is not None
        explain = self._time_limit.hung if is_hanging else self._time_limit.too_slow
        self._fail(attempt, explain(attempt.last_epoch), self._time_limit.seconds)

    def _count_death(self, attempt: Attempt, reason: str) -> None:
        attempt.deaths += 1
        if attempt.deaths >= self._max_attempts:
            self._fail(attempt, died(attempt.deaths, reason))

    def _count_eviction(self, attempt: Attempt) -> None:
        attempt.evictions += 1
        if attempt.evictions >= MAX_EVICTIONS:
            self._fail(attempt, f"its node or worker group was lost {attempt.evictions} times")

    def _fail(self, attempt: Attempt, reason: str, seconds: float = 0.0) -> None:
        self._end(attempt, ChildResult(status="failed", reason=reason, seconds=seconds))
