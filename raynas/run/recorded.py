"""A run as its journal has it: read once, and everything that follows from the events worked out once.

For reading a run from outside, whether it has ended or is still going on. A driver keeps its own account of
the run that it is writing: state.RunState.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from raynas.files import JOURNAL_FILE
from raynas.run.events import Event, Interrupted, Resumed, Started, last_of_driver
from raynas.run.journal import is_being_written, read_events
from raynas.run.leaderboard import LeaderboardEntry, final_front, leaderboard
from raynas.run.records import ChildRecord, records_of
from raynas.run.shifts import Shift, shifts_of
from raynas.strategies.rewards.front import Front
from raynas.strategies.rewards.pareto import ParetoConfig, recorded_trade

DriverState = Literal["running", "gone", "unknown"]


# No slots: a cached_property keeps its value in the instance's __dict__. It writes there directly, so that
# `frozen` does not stand in its way.
@dataclass(frozen=True, eq=False)
class RecordedRun:
    """The events of one run, and what they say.

    Example::

        run = RecordedRun.read(Path("runs/one"))
        print(run.started.run_id, len(run.records), run.entries[0].accuracy)
    """

    folder: Path
    """Folder of the journal."""
    events: Sequence[Event]
    """In the journal's order; the first is `Started`."""
    driver: DriverState = "unknown"
    """Whether the last driver was still alive when the events were read."""

    @classmethod
    def read(cls, folder: Path) -> RecordedRun:
        """The run in `folder`, also while a driver writes it.

        Raises:
            RunFolderError: there is no journal, or it can't be read.
        """
        path = folder / JOURNAL_FILE
        # The lock first. In the other order a driver that ends in between would be found gone, and the
        # children whose ends it wrote last would seem unfinished.
        is_locked = is_being_written(path)
        events = read_events(path)
        return cls(folder, events, driver_state(events, is_locked=is_locked, host=socket.gethostname()))

    @cached_property
    def started(self) -> Started:
        """The first event: which run this is."""
        first = self.events[0]
        assert isinstance(first, Started)
        return first

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config that the run was started with, and the number of children that was last asked for."""
        config = _without_removed_settings(self.started.config)
        # A resume may ask for more children, which is the one setting that it records.
        targets = [event.children for event in self.events if isinstance(event, Resumed)]
        return config | {"children": targets[-1]} if targets else config

    @cached_property
    def records(self) -> dict[int, ChildRecord]:
        """The children by their ids, in the order in which they were proposed."""
        return records_of(self.events)

    @cached_property
    def trade(self) -> ParetoConfig | None:
        """What the run's reward trades against accuracy. None means that it keeps no front."""
        return recorded_trade(self.config)

    @cached_property
    def front(self) -> Front | None:
        """The front of all children that have ended. None means that the run's reward keeps none."""
        return None if self.trade is None else final_front(self.records.values(), self.trade)

    @property
    def hypervolume(self) -> float | None:
        """Share of the unit square below the front, in [0, 1]."""
        return None if self.front is None else self.front.hypervolume()

    @cached_property
    def entries(self) -> list[LeaderboardEntry]:
        """The leaderboard, best first."""
        return leaderboard(self.records.values(), trade=self.trade)

    @cached_property
    def shifts(self) -> list[Shift]:
        """When drivers were at work, each until its last event."""
        return shifts_of(self.events)

    @property
    def num_infeasible(self) -> int:
        """Number of proposals that were beyond the limits."""
        return sum(record.is_infeasible for record in self.records.values())


def _without_removed_settings(config: dict[str, Any]) -> dict[str, Any]:
    # A journal records every setting that existed when its run was started. `workers.cpu_workers` (CPU-only
    # workers beside those with a GPU) no longer exists and would be refused as unknown, so it is dropped:
    # such a run resumes without CPU-only workers.
    workers = config.get("workers")
    if not isinstance(workers, dict):
        return config
    return config | {"workers": {key: value for key, value in workers.items() if key != "cpu_workers"}}


def driver_state(events: Sequence[Event], *, is_locked: bool | None, host: str) -> DriverState:
    """Whether the run's last driver is alive.

    Args:
        is_locked: what `journal.is_being_written` returned before the events were read.
        host: name of this machine. The locks of processes on another machine can't be seen from here.
    """
    if is_locked:
        return "running"
    last = last_of_driver(events)
    # It wrote down its own end, which counts even where its machine's locks can't be seen.
    if isinstance(last, Interrupted):
        return "gone"
    was_here = last.driver is not None and last.driver.host == host
    return "gone" if is_locked is False and was_here else "unknown"
