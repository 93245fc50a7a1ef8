"""Fills MLflow in from a run's journal: what the tracker could not write while its server was away.

It is what a resume would do, without the search: the journal is replayed to a tracker, which adds what the
store lacks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from raynas.config import validated
from raynas.errors import RunFolderError, TrackingFailed
from raynas.files import JOURNAL_FILE
from raynas.programs.search.config import SearchConfig
from raynas.run.events import Event, Interrupted, last_of_driver
from raynas.run.folder import default_store
from raynas.run.journal import Journal, read_events
from raynas.run.recorded import RecordedRun
from raynas.run.run import Run
from raynas.tracking.search_tracker import Tracker
from raynas.tracking.store import reason
from raynas.tracking.writer import Backlog

STOPPED = ("KILLED", "FAILED")


@dataclass(frozen=True)
class SyncResult:
    """What MLflow has of a run now."""

    uri: str
    """Of the store, without credentials."""
    num_children: int
    num_added: int
    """Children that were not there before, or not completely."""
    status: str
    """Of the parent run, in MLflow's words."""


def sync_run(
    folder: Path, *, uri: str | None = None, report: Callable[[int, int], None] = lambda done, total: None
) -> SyncResult:
    """Writes what MLflow lacks of the run in `folder`; a second time it changes nothing.

    Args:
        uri: of the store; None: that of the run's config, MLFLOW_TRACKING_URI, or the file beside the runs.
        report: called with how many steps of the writing are done, and of how many.
    Raises:
        UsageError: the store can't be used, a driver or another sync is at work on the run, or its journal is
            damaged.
        TrackingFailed: MLflow went away, or refused something.
    """
    with _held(folder / JOURNAL_FILE):
        events = read_events(folder / JOURNAL_FILE)
        recorded = RecordedRun(folder, events)
        backlog = Backlog(report=report)
        config = validated(SearchConfig, recorded.config)
        tracker = _open_tracker(recorded, config, uri=uri, writer=backlog)
        run = _replayed(config, events, tracker)
        tracker.close(_status(run, events, tracker), end_time=max(event.time for event in events))
    if backlog.refused:
        raise TrackingFailed(
            f"MLflow at {tracker.uri} refused {len(backlog.refused)} of the writes, the first with: "
            f"{reason(backlog.refused[0])}\nThe others are done; the same command tries these again."
        )
    return SyncResult(tracker.uri, run.num_finished, tracker.num_written, tracker.status)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """The journal's lock, so that no driver and no other sync writes the run's pages at the same time."""
    try:
        journal = Journal(path)
    except RunFolderError:
        raise RunFolderError(
            f"{path} is being written: a search, or another sync, is at work on it. A search writes MLflow "
            "itself. Wait for its end, or stop it, and try again."
        ) from None
    except OSError as error:
        raise RunFolderError(
            f"{path} can't be locked: {error.strerror}. Sync from where the run's folder can be written."
        ) from error
    with journal:
        yield


def _open_tracker(
    recorded: RecordedRun, config: SearchConfig, *, uri: str | None, writer: Backlog
) -> Tracker:
    folder, started = recorded.folder, recorded.started
    tracker = Tracker.open(
        uri or config.tracking.uri,
        experiment=config.tracking.experiment,
        run_name=folder.name,
        run_id=started.run_id,
        # As it was written down, and not as this version of raynas would complete it.
        config=started.config,
        space=config.make_space(),
        default_store=default_store(folder),
        run_folder=folder,
        origin=config.origin,
        start_time=started.time,
        writer=writer,
    )
    if tracker.is_new:
        tracker.config_changed(recorded.config)
    return tracker


def _replayed(config: SearchConfig, events: list[Event], tracker: Tracker) -> Run:
    space = config.make_space()
    run = Run(
        space,
        config.make_strategy(space),
        num_children=config.children,
        seed=config.seed,
        listeners=[tracker],
    )
    run.replay(events)
    return run


def _status(run: Run, events: list[Event], tracker: Tracker) -> str:
    """How the search ended, as far as the journal knows; of a driver that was killed, MLflow may know."""
    if run.is_complete:
        return "FINISHED"
    last = last_of_driver(events)
    if isinstance(last, Interrupted):
        return "KILLED" if last.is_by_signal else "FAILED"
    return tracker.status if tracker.status in STOPPED else "KILLED"
