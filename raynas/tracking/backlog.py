"""Jobs that are carried out all at once, by whoever waits for them; nothing is left over unnoticed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from raynas.errors import TrackingFailed
from raynas.tracking import writer
from raynas.tracking.search_tracker import is_outage
from raynas.tracking.store import reason
from raynas.tracking.writer import Job


class Backlog:
    """Keeps jobs until it is closed, then does them in order, in the caller's thread.

    Args:
        report: called after each job with how many are done, and of how many.

    Attributes:
        refused: errors of the jobs that MLflow would not have; the others were done all the same.
    """

    def __init__(self, *, report: Callable[[int, int], None] = lambda done, total: None) -> None:
        self.refused: list[Exception] = []
        self._report = report
        self._jobs: deque[Job] = deque()

    def put(self, job: Job) -> None:
        self._jobs.append(job)

    def close(self, last: Job, *, timeout: float) -> None:
        """Does all jobs, however long it takes.

        Raises:
            TrackingFailed: MLflow went away and did not come back within a few tries.
        """
        total = len(self._jobs)
        for number, job in enumerate([*self._jobs, last], start=1):
            self._do(job)
            self._report(min(number, total), total)

    def _do(self, job: Job) -> None:
        error = _failure(job)
        for tries in range(1, writer.MAX_TRIES):
            if error is None or not is_outage(error):
                break
            time.sleep(writer.FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1))
            error = _failure(job)
        if error is not None and is_outage(error):
            raise TrackingFailed(
                f"MLflow went away: {reason(error)}\nWhat was written stays; the same command goes on."
            ) from error
        if error is not None:
            self.refused.append(error)


def _failure(job: Job) -> Exception | None:
    # Any exception: one job must not keep the others from being done.
    try:
        job()
    except Exception as error:
        return error
    return None
