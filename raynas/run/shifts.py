"""When drivers were at work on a run, and how much of that time their workers trained. Pure Python.

The journal has no event for a driver that is killed, nor for a worker that takes a child. So a shift that was
cut off ends with its last event, and what a worker has done since the end of its last child is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from raynas.run.events import Event, Finished, Proposed, Resized, Resumed, Started


@dataclass
class Shift:
    """The time at which one driver was at work, until its last event; times are in seconds since 1970."""

    began: float
    ended: float
    sizes: list[tuple[float, int]]
    """(time, how many children were trained at the same time from then on); empty if not known."""
    ends: list[float] = field(default_factory=list)
    """When its children ended, in the journal's order."""
    training_seconds: float = 0.0
    """Seconds that workers spent on these children."""
    num_unfinished: int = 0
    """Number of children handed out that had not ended when the shift did."""

    @property
    def seconds(self) -> float:
        """Length of the shift in seconds."""
        return max(self.ended - self.began, 0.0)

    @property
    def slots(self) -> int | None:
        """How many children were trained at the same time at its end. None means that it is not known."""
        return self.sizes[-1][1] if self.sizes else None

    @property
    def worker_seconds(self) -> float:
        """Seconds of all workers together, also of those that came and went."""
        # Each size holds until the next one, and the last until the shift's end.
        times = [*(time for time, _ in self.sizes), self.ended]
        return math.fsum(
            slots * max(until - since, 0.0)
            for (since, slots), until in zip(self.sizes, times[1:], strict=True)
        )

    @property
    def known_worker_seconds(self) -> float:
        """`worker_seconds` up to what is known: a worker that is busy at the shift's end counts until the
        end of its last child.
        """
        if not self.sizes:
            return 0.0
        resized, slots = self.sizes[-1]
        num_idle = max(slots - self.num_unfinished, 0)
        # The journal doesn't say which worker trained a child. The latest ends are taken as those of the
        # workers that found no child any more, the ends before as those of the busy ones. A busy worker
        # without an end is known from the last change of size only.
        last_ends = sorted(self.ends, reverse=True)[num_idle:slots]
        last_ends += [resized] * (slots - num_idle - len(last_ends))
        return max(self.worker_seconds - math.fsum(self.ended - end for end in last_ends), 0.0)


def shifts_of(events: Sequence[Event], *, until: float | None = None) -> list[Shift]:
    """The shifts of a run, in order.

    Args:
        until: The present, if the last driver is still at work. Its shift then lasts until now.
    """
    shifts: list[Shift] = []
    unfinished: set[int] = set()
    for event in events:
        if isinstance(event, Started | Resumed):
            sizes = [(event.time, event.driver.slots)] if event.driver else []
            shifts.append(Shift(event.time, event.time, sizes))
            continue
        shift = shifts[-1]
        # A machine's clock may be set back.
        shift.ended = max(shift.ended, event.time)
        if isinstance(event, Resized) and shift.sizes:
            shift.sizes.append((event.time, event.slots))
        elif isinstance(event, Proposed):
            unfinished.add(event.child)
        elif isinstance(event, Finished) and event.child in unfinished:
            unfinished.remove(event.child)
            _count(shift, event)
        # Set at each event, so that a shift that was cut off keeps the number from its end.
        shift.num_unfinished = len(unfinished)
    if until is not None:
        shifts[-1].ended = max(shifts[-1].ended, until)
    return shifts


def utilisation(shifts: Iterable[Shift]) -> float | None:
    """Share of the known worker time that was spent on training, in [0, 1]; None before there is any."""
    known = [shift for shift in shifts if shift.sizes]
    total = sum(shift.known_worker_seconds for shift in known)
    return min(sum(shift.training_seconds for shift in known) / total, 1.0) if total > 0 else None


def _count(shift: Shift, event: Finished) -> None:
    if event.result.status != "infeasible":
        shift.ends.append(event.time)
        shift.training_seconds += event.result.seconds
