"""What the sections of a run's report are made of, found once. Pure Python."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raynas.cells.space import SearchSpace, make_space
from raynas.config import flattened, scrubbed
from raynas.errors import UsageError
from raynas.programs.report.run.history import EndedChild, ended_children
from raynas.run.events import Event, Started, recorded_config
from raynas.run.leaderboard import LeaderboardEntry, leaderboard
from raynas.run.records import ChildRecord, records_of
from raynas.run.status import DriverState, Status, status_of
from raynas.strategies.rewards.pareto import ParetoConfig, recorded_trade


@dataclass(frozen=True)
class RunData:
    """A journal, read."""

    events: Sequence[Event]
    config: Mapping[str, Any]
    """As recorded; credentials are left out, here and in `flat`."""
    records: list[ChildRecord]
    ended: list[EndedChild]
    status: Status
    entries: list[LeaderboardEntry]
    trade: ParetoConfig | None
    """None: the run keeps no front."""
    space: SearchSpace | None
    """None: it can't be made here, such as a user's own that isn't importable."""

    @property
    def started(self) -> Started:
        first = self.events[0]
        assert isinstance(first, Started)
        return first

    @property
    def flat(self) -> dict[str, Any]:
        return flattened(self.config)

    @property
    def num_reused(self) -> int:
        """Children that have the score of an equal cell before them."""
        return sum(entry.reused_from is not None for entry in self.entries)


def run_data(events: Sequence[Event], driver: DriverState) -> RunData:
    records, config = records_of(events), scrubbed(recorded_config(events))
    trade = recorded_trade(config)
    return RunData(
        events=events,
        config=config,
        records=records,
        ended=ended_children(events),
        status=status_of(events, now=time.time(), driver=driver),
        entries=leaderboard(records, trade=trade),
        trade=trade,
        space=_space(config),
    )


def name_of(config: Mapping[str, Any], field: str, default: str = "unknown") -> str:
    """The name in a recorded choice, such as of the strategy."""
    choice = config.get(field)
    return str(choice.get("name", default)) if isinstance(choice, Mapping) else default


def _space(config: Mapping[str, Any]) -> SearchSpace | None:
    choice = config.get("space")
    if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
        return None
    options = {str(key): value for key, value in choice.items() if key != "name"}
    try:
        return make_space(choice["name"], **options)
    except UsageError:
        return None
