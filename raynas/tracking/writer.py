"""Two job queues that try failed jobs again: in a background thread during a run, or all at the end.

tenacity is not among what Ray and MLflow bring, and would replace the pauses only: what is kept in an outage,
and how a waiting thread is told to stop, would stay ours.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from raynas.errors import TrackingFailed
from raynas.tracking.store import error_text, is_outage

FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
MAX_PAUSE_WHEN_CLOSING_SECONDS = 1.0
MAX_TRIES = 5
"""Number of tries of a job whose failures are not an outage."""
LAST_JOB_SECONDS = 5.0
"""Time for the last job once the timeout is over."""

Job = Callable[[], None]


class JobQueue(Protocol):
    """Takes jobs and has carried them out, as far as possible, when it is closed."""

    def put(self, job: Job) -> None:
        """Adds a job at the end."""

    def close(self, last: Job, *, timeout: float) -> None:
        """Carries out what is queued, then `last`; waits about `timeout` seconds at most."""


@dataclass(slots=True)
class _Queued:
    job: Job
    tries: int = 0


class BackgroundWriter:
    """A thread that runs jobs one after the other. A failed job goes to the back of the queue after a pause.

    The pause doubles with each failure in a row and starts anew after a success. During an outage every job
    stays in the queue until `close`; a job that fails for another reason is dropped after MAX_TRIES.

    Args:
        is_outage: whether an error concerns the server as a whole, so that the job is worth keeping.
        on_failure: called after each failed try, in the thread.
    """

    def __init__(
        self, *, is_outage: Callable[[Exception], bool], on_failure: Callable[[Exception], None]
    ) -> None:
        self._is_outage = is_outage
        self._on_failure = on_failure
        # None marks the end; see _run.
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._gave_up = threading.Event()
        self._failures_in_a_row = 0
        self._last: Job | None = None
        # A daemon thread: a driver that dies of an exception must not hang on a server that is down.
        self._thread = threading.Thread(target=self._run, name="raynas-mlflow", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        self._queue.put(_Queued(job))

    def close(self, last: Job, *, timeout: float) -> None:
        """Carries out what is queued for at most `timeout` seconds, then tries `last` in any case."""
        self._last = last
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout)
        # From here on the thread skips what is still queued, so that `last` gets its turn.
        self._gave_up.set()
        self._thread.join(LAST_JOB_SECONDS)

    def _run(self) -> None:
        while True:
            queued = self._queue.get()
            if queued is not None and not self._gave_up.is_set():
                self._try(queued)
            elif queued is None and self._queue.empty():
                break
            elif queued is None:
                # Failed jobs have queued up behind the mark: it moves behind them, to come up again.
                self._queue.put(None)
        if self._last is not None:
            self._insist(_Queued(self._last))

    def _try(self, queued: _Queued) -> None:
        error = self._failure(queued)
        if error is not None:
            if self._is_worth_keeping(queued, error):
                # At the back, so that one job that always fails doesn't hold up those behind it.
                self._queue.put(queued)
            self._pause()

    def _insist(self, queued: _Queued) -> None:
        while (error := self._failure(queued)) is not None:
            # Looked at after a try: the last job is tried once even if the time is over.
            if self._gave_up.is_set() or not self._is_worth_keeping(queued, error):
                return
            self._pause()

    def _failure(self, queued: _Queued) -> Exception | None:
        queued.tries += 1
        # Any exception: the thread must outlive whatever a single job runs into.
        try:
            queued.job()
        except Exception as error:
            self._failures_in_a_row += 1
            self._on_failure(error)
            return error
        self._failures_in_a_row = 0
        return None

    def _is_worth_keeping(self, queued: _Queued, error: Exception) -> bool:
        return self._is_outage(error) or queued.tries < MAX_TRIES

    def _pause(self) -> None:
        # The exponent is bounded: after a night's outage the power would be no float any more.
        seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures_in_a_row - 1, 30), MAX_PAUSE_SECONDS)
        # Events instead of sleep: `close` ends a long pause, and its timeout a short one.
        if self._closing.is_set():
            self._gave_up.wait(min(seconds, MAX_PAUSE_WHEN_CLOSING_SECONDS))
        else:
            self._closing.wait(seconds)


class DeferredWriter:
    """Keeps jobs until it is closed, then carries them out in order, in the caller's thread.

    Args:
        report: called after each job with the number of jobs done and of all jobs.

    Attributes:
        refused: errors of the jobs that MLflow refused; the other jobs were carried out all the same.
    """

    def __init__(self, *, report: Callable[[int, int], None] = lambda done, total: None) -> None:
        self.refused: list[Exception] = []
        self._report = report
        self._jobs: deque[Job] = deque()

    def put(self, job: Job) -> None:
        self._jobs.append(job)

    def close(self, last: Job, *, timeout: float) -> None:
        """Carries out all jobs, however long that takes.

        Raises:
            TrackingFailed: MLflow stopped answering and did not answer within a few tries.
        """
        total = len(self._jobs)
        for number, job in enumerate([*self._jobs, last], start=1):
            self._do(job)
            self._report(min(number, total), total)

    def _do(self, job: Job) -> None:
        error = _failure(job)
        for tries in range(1, MAX_TRIES):
            if error is None or not is_outage(error):
                break
            time.sleep(FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1))
            error = _failure(job)
        if error is not None and is_outage(error):
            raise TrackingFailed(
                f"MLflow stopped answering: {error_text(error)}\nWhat was written stays; a repeated sync "
                "writes the rest."
            ) from error
        if error is not None:
            self.refused.append(error)


def _failure(job: Job) -> Exception | None:
    # Any exception: one job must not keep the others from being carried out.
    try:
        job()
    except Exception as error:
        return error
    return None
