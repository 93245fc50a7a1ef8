"""The status of a run: what became of its children, how fast it is, what is left. Pure Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from raynas.config import FrozenModel
from raynas.run.events import Interrupted, last_of_driver
from raynas.run.failures import printable, reasons_of
from raynas.run.leaderboard import LeaderboardEntry
from raynas.run.recorded import DriverState, RecordedRun
from raynas.run.shifts import shifts_of, utilisation


class ChildCounts(FrozenModel):
    """Numbers of children by their state. Infeasible proposals are in none of the others."""

    asked: int | None
    """Number that the run is to have. None means that the journal doesn't say."""
    done: int
    """Number that were completed, stopped or failed."""
    completed: int
    stopped: int
    failed: int
    reused: int
    """Number of the done ones that have the score of another child, of this run or of another."""
    running: int
    """Number handed out and not ended, at most as many as the driver trains at the same time."""
    waiting: int
    """Number handed out beyond these, which are in the workers' queue."""
    interrupted: int
    """Number handed out by a driver that is gone. A resume trains them again."""
    to_come: int | None
    """Number not handed out yet."""
    infeasible: int
    """Number of proposals beyond the limits."""


class BestChild(FrozenModel):
    """The first child of the leaderboard."""

    arch_id: str
    child: int
    accuracy: float | None


class Status(FrozenModel):
    """A run at one moment. Moments are in seconds since 1970."""

    children: ChildCounts
    failures: dict[str, int]
    """The failed children by a short reason, the most frequent first; a number in it is written N."""
    best: BestChild | None
    active_seconds: float
    """Seconds in which a driver was at work, without the pauses between a kill and a resume."""
    children_per_hour: float | None
    """Number of done children per hour of active time; None before there is any."""
    utilisation: float | None
    """Share of the workers' time that is spent on training, in [0, 1]; None while it is not known."""
    seconds_left: float | None
    """Seconds until the run is complete at this rate; None while it is not known."""
    driver: DriverState
    driver_since: float
    """Moment at which the last driver began."""
    ended_by: str | None
    """Why the last driver ended before the run did, a signal or an error. None means that it didn't, or had
    no time to write so.
    """
    last_event: float
    """Moment of the last event."""

    @property
    def is_complete(self) -> bool:
        """Whether as many children are done as were asked for; False if that is not known."""
        return self.children.asked is not None and self.children.done >= self.children.asked


def status_of(run: RecordedRun, *, now: float) -> Status:
    """The status of a run at the moment `now`, in seconds since 1970."""
    children = _counts(run)
    left = None if children.asked is None else max(children.asked - children.done, 0)
    is_at_work = run.driver == "running" and left != 0
    # A driver at work is so until now, and not only until its last event.
    shifts = shifts_of(run.events, until=now) if is_at_work else run.shifts
    seconds = sum(shift.seconds for shift in shifts)
    rate = children.done / seconds * 3600.0 if seconds > 0 else None
    last = last_of_driver(run.events)
    return Status(
        children=children,
        failures=reasons_of(record.result for record in run.records.values()),
        best=_best(run.entries),
        active_seconds=seconds,
        children_per_hour=rate,
        utilisation=utilisation(shifts),
        seconds_left=0.0 if left == 0 else left * 3600.0 / rate if left and rate else None,
        # A run with nothing left to do has no driver, even where the lock can't be seen from here.
        driver="gone" if left == 0 and run.driver == "unknown" else run.driver,
        driver_since=shifts[-1].began,
        ended_by=printable(last.reason) if isinstance(last, Interrupted) else None,
        # Not the last line's time: drivers on several machines may have clocks that differ.
        last_event=max(event.time for event in run.events),
    )


def _counts(run: RecordedRun) -> ChildCounts:
    records = run.records.values()
    ends = Counter(record.result.status if record.result else "unfinished" for record in records)
    unfinished, infeasible = ends.pop("unfinished", 0), ends.pop("infeasible", 0)
    asked = run.config.get("children")
    # The config is as the journal has it, and an old or damaged one may have anything there.
    asked = asked if isinstance(asked, int) else None
    # `ends` no longer holds the unfinished and the infeasible, so its total is the number of children that
    # are done.
    running, waiting, interrupted = _unfinished(run, unfinished)
    return ChildCounts(
        asked=asked,
        done=ends.total(),
        completed=ends["completed"],
        stopped=ends["stopped"],
        failed=ends["failed"],
        reused=sum(record.finished is not None and record.finished.is_reused for record in records),
        running=running,
        waiting=waiting,
        interrupted=interrupted,
        to_come=None if asked is None else max(asked - ends.total() - unfinished, 0),
        infeasible=infeasible,
    )


def _unfinished(run: RecordedRun, count: int) -> tuple[int, int, int]:
    """How many of `count` unfinished children are running, waiting and interrupted.

    The journal doesn't say which children a worker has taken. Unless the driver is known to be gone, as many
    are counted as running as it trains at the same time.
    """
    if run.driver == "gone":
        return 0, 0, count
    slots = run.shifts[-1].slots
    running = count if slots is None else min(count, slots)
    return running, count - running, 0


def _best(entries: Sequence[LeaderboardEntry]) -> BestChild | None:
    first = entries[0] if entries else None
    if first is None or first.reward is None:
        return None
    return BestChild(arch_id=first.arch_id, child=first.child, accuracy=first.accuracy)
