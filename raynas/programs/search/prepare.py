"""A search that is ready to be started: its folder and its validated config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raynas.cells.space import SPACES, SearchSpace
from raynas.config import check_fields, merged, nested, suggests_arguments, without_none
from raynas.errors import RunFolderError
from raynas.files import JOURNAL_FILE
from raynas.programs.search.config import CHOICES, SearchConfig, resumed_search_config
from raynas.programs.search.recipes import check_search_words, search_config
from raynas.registry import lies_in
from raynas.run.events import Event, Finished, Started
from raynas.run.folder import check_is_free, check_outlives_job, find_run, new_run_folder
from raynas.run.journal import Journal
from raynas.run.recorded import RecordedRun
from raynas.strategies.rewards.reward import REWARDS, Reward
from raynas.strategies.strategy import STRATEGIES, Strategy


@dataclass(frozen=True)
class PreparedSearch:
    """A search that is ready to be started."""

    folder: Path
    config: SearchConfig
    resumed: RecordedRun | None = None
    """The run that is resumed. None means that this one is new."""

    @property
    def started(self) -> Started | None:
        """First event of the run that is resumed."""
        return self.resumed.started if self.resumed is not None else None

    @property
    def events(self) -> Sequence[Event]:
        """Events of the run that is resumed; empty for a new one."""
        return self.resumed.events if self.resumed is not None else ()

    @property
    def num_finished(self) -> int:
        """Number of children of the run that is resumed that have ended, without the infeasible ones."""
        ended = [event for event in self.events if isinstance(event, Finished)]
        return sum(event.result.status != "infeasible" for event in ended)


@suggests_arguments
def prepare_search(
    *,
    data: str | Path | None = None,
    space: str | type[SearchSpace] | None = None,
    strategy: str | type[Strategy] | None = None,
    reward: str | type[Reward] | None = None,
    children: int | None = None,
    hours: float | None = None,
    workers: int | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    memo: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    recipe: str = "small",
    settings: Mapping[str, Any] | None = None,
) -> PreparedSearch:
    """The folder and the validated config of a search, without starting anything.

        print(raynas.prepare_search(recipe="nasnet_paper", children=100).config)

    The arguments are those of `raynas.run_search` with the same names.

    Raises:
        UsageError: an argument can't be used.
    """
    overrides: dict[str, Any] = {
        "data": {"source": None if data is None else str(data)},
        "space": {"name": SPACES.name_of(space)},
        "strategy": {"name": STRATEGIES.name_of(strategy)},
        "reward": {"name": REWARDS.name_of(reward)},
        "children": children,
        "hours": hours,
        "workers": {"count": workers},
        "child": {"epochs": epochs},
        "seed": seed,
        "memo": None if memo is None else str(memo),
    }
    overrides = merged(without_none(overrides), nested(settings or {}))
    if resume:
        check_fields(SearchConfig, overrides)
        return _prepare_resume(find_run(Path(out) if out is not None else None), overrides)
    check_search_words(recipe, overrides)
    config = search_config(recipe, overrides)
    folder = Path(out) if out is not None else new_run_folder(config.space.name, config.strategy.name)
    check_can_begin(folder, config)
    return PreparedSearch(folder, config)


def check_can_begin(folder: Path, config: SearchConfig) -> None:
    """RunFolderError unless a run of this config can begin in `folder`, and be resumed there."""
    check_is_free(folder)
    for field in CHOICES:
        name = getattr(config, field).name
        if lies_in(name, folder):
            raise RunFolderError(
                f"{folder} can't become a run's folder: the {field} {name!r} lies in it. Files in a run's "
                "folder are data and are not executed, so the run could not be resumed. Choose another "
                "folder (--out, out=), such as runs/NAME, or move that module."
            )


def _prepare_resume(folder: Path, overrides: Mapping[str, Any]) -> PreparedSearch:
    check_outlives_job(folder)
    journal, events = Journal.reopen(folder / JOURNAL_FILE)
    journal.close()
    run = RecordedRun(folder, events)
    knows_images = run.started.images is not None
    return PreparedSearch(
        folder, resumed_search_config(run.config, overrides, knows_images=knows_images), run
    )
