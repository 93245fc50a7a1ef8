"""When a checkpoint within an epoch is due."""

from __future__ import annotations

import time
from collections.abc import Callable

from raynas.training.device import Placement

STEPS_PER_LOOK = 50
"""Updates between two looks at the time, at most: each makes a GPU wait for the host."""


class CheckpointClock:
    """By updates, and by rank 0's time: the ranks' clocks differ, and all must write at the same update.

    Args:
        steps: between two checkpoints; None: not by updates.
        minutes: between two checkpoints; None: not by time.
        clock: in seconds.
    """

    def __init__(
        self,
        placement: Placement,
        *,
        steps: int | None,
        minutes: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._placement, self._steps, self._clock = placement, steps, clock
        self._seconds = None if minutes is None else 60.0 * minutes
        self.restart(0)

    def restart(self, step: int) -> None:
        """A checkpoint was written after update `step`, or training begins there."""
        self._began, self._first_step, self._next_look = self._clock(), step, step + 1

    def is_due(self, step: int) -> bool:
        """After each update, on every rank; true on all of them or on none."""
        if self._steps is not None and step % self._steps == 0:
            return True
        if self._seconds is None or step < self._next_look:
            return False
        wait = self._placement.agree(self._updates_left(step, self._seconds))
        self._next_look = step + wait
        return wait == 0

    def _updates_left(self, step: int, seconds: float) -> int:
        """Until the time has come, at the pace so far; 0: it has."""
        passed = self._clock() - self._began
        if passed >= seconds:
            return 0
        pace = passed / (step - self._first_step)
        return min(max(int((seconds - passed) / max(pace, 1e-9)), 1), STEPS_PER_LOOK)
