"""When drivers were at work on a run, and how much of that their workers spent training. Pure Python.

The journal has no line for the moment a driver is killed, nor for the moment a worker takes a child: a shift
that was cut off ends with its last event, and what a worker does since its last child's end is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from raynas.run.events import Event, Finished, Proposed, Resized, Resumed, Started


@dataclass
class Shift:
    """One driver's time at work, from its start to its last event; times in seconds since 1970."""

    began: float
    ended: float
    sizes: list[tuple[float, int]]
    """From when on how many children were trained at the same time; empty: not known."""
    ends: list[float] = field(default_factory=list)
    """Of its children, in the journal's order."""
    training_seconds: float = 0.0
    """That workers spent on these children."""
    num_unfinished: int = 0
    """Children handed out that had not ended when the shift did."""

    @property
    def seconds(self) -> float:
        return max(self.ended - self.began, 0.0)

    @property
    def slots(self) -> int | None:
        """Children that were trained at the same time at its end; None: not known."""
        return self.sizes[-1][1] if self.sizes else None

    @property
    def worker_seconds(self) -> float:
        """Time of all workers, those that came and went included."""
        times = [*(time for time, _ in self.sizes), self.ended]
        return math.fsum(
            slots * max(until - since, 0.0)
            for (since, slots), until in zip(self.sizes, times[1:], strict=True)
        )

    @property
    def known_worker_seconds(self) -> float:
        """The same, but not what those that train at the end have done since their last child."""
        if not self.sizes:
            return 0.0
        resized, slots = self.sizes[-1]
        num_idle = max(slots - self.num_unfinished, 0)
        # The latest ends are of the workers that found no child any more, those before of the busy ones.
        last_ends = sorted(self.ends, reverse=True)[num_idle:slots]
        last_ends += [resized] * (slots - num_idle - len(last_ends))
        return max(self.worker_seconds - math.fsum(self.ended - end for end in last_ends), 0.0)


def shifts_of(events: Sequence[Event], *, until: float | None = None) -> list[Shift]:
    """The shifts of a run, in order.

    Args:
        until: the present, if the last driver is at work.
    """
    shifts: list[Shift] = []
    unfinished: set[int] = set()
    for event in events:
        if isinstance(event, Started | Resumed):
            sizes = [(event.time, event.driver.slots)] if event.driver else []
            shifts.append(Shift(event.time, event.time, sizes))
            continue
        shift = shifts[-1]
        shift.ended = max(shift.ended, event.time)
        if isinstance(event, Resized) and shift.sizes:
            shift.sizes.append((event.time, event.slots))
        elif isinstance(event, Proposed):
            unfinished.add(event.child)
        elif isinstance(event, Finished) and event.child in unfinished:
            unfinished.remove(event.child)
            _count(shift, event)
        shift.num_unfinished = len(unfinished)
    if until is not None:
        shifts[-1].ended = max(shifts[-1].ended, until)
    return shifts


def utilisation(shifts: Iterable[Shift]) -> float | None:
    """Share of the known worker time that was training, in [0, 1]; None before there is any."""
    known = [shift for shift in shifts if shift.sizes]
    total = sum(shift.known_worker_seconds for shift in known)
    return min(sum(shift.training_seconds for shift in known) / total, 1.0) if total > 0 else None


def _count(shift: Shift, event: Finished) -> None:
    if event.result.status != "infeasible":
        shift.ends.append(event.time)
        shift.training_seconds += event.result.seconds
