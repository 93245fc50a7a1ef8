"""The end of a tracked block: which status MLflow shows, and how long it is waited for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from raynas.tracking.config import INTERRUPTED_TRACKER_SECONDS, TRACKER_SECONDS


class Tracker(Protocol):
    """A view of a run or a training in MLflow."""

    def close(self, status: str, *, timeout: float) -> object:
        """Writes what is queued, for about `timeout` seconds at most, and ends the MLflow run."""


@contextlib.contextmanager
def closed_at_end(tracker: Tracker | None) -> Iterator[None]:
    """Closes the tracker with the block: FINISHED, KILLED after an interruption, FAILED after other errors.

    Args:
        tracker: None means that tracking is switched off.
    """
    status, timeout = "FAILED", TRACKER_SECONDS
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        # The process has little time left: a SIGTERM on a spot machine leaves 30 seconds in all.
        status, timeout = "KILLED", INTERRUPTED_TRACKER_SECONDS
        raise
    finally:
        if tracker is not None:
            tracker.close(status, timeout=timeout)
