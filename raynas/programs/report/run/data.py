"""The data of a run's report, which its sections share. Pure Python."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raynas.cells.space import SearchSpace, make_space
from raynas.config import flattened, scrubbed
from raynas.errors import UsageError
from raynas.programs.report.run.history import EndedChild, ended_children
from raynas.run.recorded import RecordedRun
from raynas.run.status import Status, status_of


@dataclass(frozen=True)
class RunData:
    """A recorded run, and what only its report needs of it."""

    recorded: RecordedRun
    config: Mapping[str, Any]
    """The recorded config without credentials; `flat` has none either."""
    ended: list[EndedChild]
    status: Status
    space: SearchSpace | None
    """None means that it can't be made here, such as a user's own that isn't importable."""

    @cached_property
    def flat(self) -> dict[str, Any]:
        """The config by dotted key."""
        return flattened(self.config)

    @property
    def num_reused(self) -> int:
        """Number of children that have the score of an equal cell before them."""
        return sum(entry.reused_from is not None for entry in self.recorded.entries)

    def chosen(self, field: str, default: str = "unknown") -> str:
        """The name of what was chosen, such as that of the 'strategy'."""
        choice = self.config.get(field)
        return str(choice.get("name", default)) if isinstance(choice, Mapping) else default


def run_data(recorded: RecordedRun) -> RunData:
    config = scrubbed(recorded.config)
    return RunData(
        recorded=recorded,
        config=config,
        ended=ended_children(recorded),
        status=status_of(recorded, now=time.time()),
        space=_space(config),
    )


def _space(config: Mapping[str, Any]) -> SearchSpace | None:
    choice = config.get("space")
    if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
        return None
    options = {str(key): value for key, value in choice.items() if key != "name"}
    try:
        return make_space(choice["name"], **options)
    except UsageError:
        return None
