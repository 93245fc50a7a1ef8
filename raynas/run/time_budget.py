"""The time that a run may take: no child is handed out that would end too late. Pure Python."""

from __future__ import annotations

import time
from collections.abc import Callable


class TimeBudget:
    """Decides whether another child can be trained in the time that is left, which begins to pass at once.

    Until a child has ended, how long one takes isn't known: then each slot gets one child, and none waits.

    Args:
        seconds: of this process, from now on.
        num_slots: number of children that train at the same time.
        clock: gives seconds.
    """

    def __init__(
        self, seconds: float, *, num_slots: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.num_slots = num_slots
        self._clock = clock
        self._end = clock() + seconds
        self._num_ended = 0
        self._sum_seconds = 0.0

    @property
    def seconds_left(self) -> float:
        """Negative once the time is over."""
        return self._end - self._clock()

    @property
    def mean_seconds(self) -> float | None:
        """Mean time of the children that ended in this process; None before the first."""
        return self._sum_seconds / self._num_ended if self._num_ended else None

    @property
    def is_over(self) -> bool:
        """Whether there is no time for another child, even if a slot were free at once."""
        mean = self.mean_seconds
        return mean is not None and self.seconds_left < mean

    def allows_another(self, num_out: int) -> bool:
        """Whether another child would end in time behind the `num_out` that are out."""
        mean = self.mean_seconds
        if mean is None:
            return num_out < self.num_slots
        # Those that are out are half done on average.
        waits = max(num_out - self.num_slots + 1, 0) / self.num_slots
        return self.seconds_left >= mean * (1 + waits)

    def child_ended(self, seconds: float) -> None:
        """Takes in how long a child took on its worker."""
        self._num_ended += 1
        self._sum_seconds += seconds
