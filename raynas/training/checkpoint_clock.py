"""When a training checkpoint within an epoch is due."""

from __future__ import annotations

import time
from collections.abc import Callable

from raynas.training.device import Placement

STEPS_PER_LOOK = 50
"""Most updates between two looks at the time. Each look makes a GPU wait for the host."""


class CheckpointClock:
    """Says when a checkpoint is due, by number of updates or by rank 0's time.

    The clocks of the ranks differ, and all ranks must write at the same update.

    Args:
        steps: updates between two checkpoints; None means that updates don't count.
        minutes: minutes between two checkpoints; None means that time doesn't count.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        placement: Placement,
        *,
        steps: int | None,
        minutes: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._placement = placement
        self._steps = steps
        self._seconds = None if minutes is None else 60.0 * minutes
        self._clock = clock
        self.restart(0)

    def restart(self, step: int) -> None:
        """Starts to count at update `step`, after which a checkpoint was written or training began."""
        self._began = self._clock()
        self._first_step = step
        # The first look comes an update later, so that a pace can be measured.
        self._next_look = step + 1

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is due; called after each update on every rank, with the same answer on
        all.
        """
        if self._steps is not None and step % self._steps == 0:
            return True
        if self._seconds is None or step < self._next_look:
            return False
        # Rank 0 says how many updates to wait instead of yes or no, so that the ranks need not talk at every
        # update.
        wait = self._placement.agree(self._updates_left(step, self._seconds))
        self._next_look = step + wait
        return wait == 0

    def _updates_left(self, step: int, seconds: float) -> int:
        """Updates until the next look at the time, estimated from the pace so far; 0 if the time has come."""
        passed = self._clock() - self._began
        if passed >= seconds:
            return 0
        # Seconds per update.
        pace = passed / (step - self._first_step)
        return min(max(int((seconds - passed) / max(pace, 1e-9)), 1), STEPS_PER_LOOK)
