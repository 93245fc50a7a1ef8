"""How a run does: what became of its children, how fast it is, what is left. Made of the journal's events
alone. Pure Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from raynas.config import FrozenModel
from raynas.run.events import Event, Interrupted, last_of_driver, recorded_config
from raynas.run.failures import printable, reasons_of
from raynas.run.leaderboard import leaderboard
from raynas.run.records import ChildRecord, records_of
from raynas.run.shifts import shifts_of, utilisation
from raynas.strategies.rewards.pareto import ParetoConfig, recorded_trade

DriverState = Literal["running", "gone", "unknown"]


class ChildCounts(FrozenModel):
    """How many children are where."""

    asked: int | None
    """The run is to have; None: the journal doesn't say."""
    done: int
    """Completed, stopped or failed."""
    completed: int
    stopped: int
    failed: int
    reused: int
    """Of the done ones, those with the score of another child, of this run or of another."""
    running: int
    """Handed out; at most as many as the driver trains at the same time."""
    waiting: int
    """Handed out beyond these: in the workers' queue."""
    interrupted: int
    """Handed out by a driver that is gone; a resume trains them again."""
    to_come: int | None
    """Not handed out yet."""
    infeasible: int
    """Proposals beyond the limits; in none of the other counts."""


class BestChild(FrozenModel):
    """The first of the leaderboard."""

    arch_id: str
    child: int
    accuracy: float | None


class Status(FrozenModel):
    """A run at one moment; moments are in seconds since 1970."""

    children: ChildCounts
    failures: dict[str, int]
    """The failed children by a short reason, the most frequent first; a number in it is written N."""
    best: BestChild | None
    active_seconds: float
    """In which a driver was at work; pauses between a kill and a resume are left out."""
    children_per_hour: float | None
    """Done ones, over the active time; None before there is any."""
    utilisation: float | None
    """Share of the workers' time spent on training, in [0, 1]; None: not known yet."""
    seconds_left: float | None
    """At this rate; None: not known yet."""
    driver: DriverState
    driver_since: float
    """When the last driver began."""
    ended_by: str | None
    """Why it ended before the run did: a signal or an error; None: it didn't, or could not say."""
    last_event: float

    @property
    def is_complete(self) -> bool:
        return self.children.asked is not None and self.children.done >= self.children.asked


def status_of(events: Sequence[Event], *, now: float, driver: DriverState) -> Status:
    """The status of a run with these events.

    Args:
        driver: the last one; unless it is known to be gone, unfinished children count as running or waiting.
    """
    records = records_of(events)
    shifts, last = shifts_of(events), last_of_driver(events)
    children = _counts(records, _target(events), shifts[-1].slots, driver)
    left = None if children.asked is None else max(children.asked - children.done, 0)
    if driver == "running" and left != 0:
        shifts = shifts_of(events, until=now)
    seconds = sum(shift.seconds for shift in shifts)
    rate = children.done / seconds * 3600.0 if seconds > 0 else None
    return Status(
        children=children,
        failures=reasons_of(record.result for record in records),
        best=_best(records, recorded_trade(recorded_config(events))),
        active_seconds=seconds,
        children_per_hour=rate,
        utilisation=utilisation(shifts),
        seconds_left=0.0 if left == 0 else left * 3600.0 / rate if left and rate else None,
        driver="gone" if left == 0 and driver == "unknown" else driver,
        driver_since=shifts[-1].began,
        ended_by=printable(last.reason) if isinstance(last, Interrupted) else None,
        last_event=max(event.time for event in events),
    )


def driver_state(events: Sequence[Event], *, is_locked: bool | None, host: str) -> DriverState:
    """Whether the run's last driver is alive.

    Args:
        is_locked: what `journal.is_being_written` said, asked before the events were read.
        host: this machine; the locks of another are not seen here.
    """
    if is_locked:
        return "running"
    last = last_of_driver(events)
    if isinstance(last, Interrupted):
        return "gone"
    is_of_here = last.driver is not None and last.driver.host == host
    return "gone" if is_locked is False and is_of_here else "unknown"


def _counts(
    records: Sequence[ChildRecord], asked: int | None, slots: int | None, driver: DriverState
) -> ChildCounts:
    ends = Counter(record.result.status if record.result else "unfinished" for record in records)
    unfinished, infeasible = ends.pop("unfinished", 0), ends.pop("infeasible", 0)
    is_gone = driver == "gone"
    running = 0 if is_gone else unfinished if slots is None else min(unfinished, slots)
    return ChildCounts(
        asked=asked,
        done=ends.total(),
        completed=ends["completed"],
        stopped=ends["stopped"],
        failed=ends["failed"],
        reused=sum(record.finished is not None and record.finished.is_reused for record in records),
        running=running,
        waiting=0 if is_gone else unfinished - running,
        interrupted=unfinished if is_gone else 0,
        to_come=None if asked is None else max(asked - ends.total() - unfinished, 0),
        infeasible=infeasible,
    )


def _target(events: Sequence[Event]) -> int | None:
    children = recorded_config(events).get("children")
    return children if isinstance(children, int) else None


def _best(records: Iterable[ChildRecord], trade: ParetoConfig | None) -> BestChild | None:
    first = next(iter(leaderboard(records, trade=trade)), None)
    if first is None or first.reward is None:
        return None
    return BestChild(arch_id=first.arch_id, child=first.child, accuracy=first.accuracy)
