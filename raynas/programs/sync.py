"""Adds to MLflow, from a run's journal, what the tracker could not write while the server didn't answer.

It does what a resume would do, without the search: the journal is replayed to a tracker, which writes what
the store lacks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from raynas.config import validated
from raynas.errors import RunFolderError, TrackingFailed
from raynas.files import JOURNAL_FILE
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.open_run import search_page
from raynas.run.events import Event, Interrupted, last_of_driver
from raynas.run.journal import Journal, read_events
from raynas.run.recorded import RecordedRun
from raynas.run.run import Run
from raynas.tracking.search_tracker import SearchTracker
from raynas.tracking.store import error_text
from raynas.tracking.writer import DeferredWriter

STOPPED = ("KILLED", "FAILED")
"""MLflow's statuses of a run that ended early."""


@dataclass(frozen=True)
class SyncResult:
    """What a sync wrote."""

    uri: str
    """The store's URI, without credentials."""
    num_children: int
    """Number of finished children in the journal."""
    num_added: int
    """Number of children that MLflow did not have before, or not completely."""
    status: str
    """The parent run's status in MLflow."""


def sync_run(
    folder: Path, *, uri: str | None = None, report: Callable[[int, int], None] = lambda done, total: None
) -> SyncResult:
    """Writes what MLflow lacks of the run in `folder`; a second time it changes nothing.

    Args:
        uri: URI of the store; defaults to the run's tracking.uri, MLFLOW_TRACKING_URI, or else the SQLite
            file beside the runs.
        report: called after each write with the number of writes done and of all writes.
    Raises:
        UsageError: the store can't be used, a search or another sync is writing the run, or its journal is
            damaged.
        TrackingFailed: MLflow stopped answering, or refused something.
    """
    with _locked(folder / JOURNAL_FILE):
        events = read_events(folder / JOURNAL_FILE)
        recorded = RecordedRun(folder, events)
        writer = DeferredWriter(report=report)
        config = validated(SearchConfig, recorded.config)
        tracker = _open_tracker(recorded, config, uri=uri, writer=writer)
        run = _replayed(config, events, tracker)
        tracker.close(_status(run, events, tracker), end_time=max(event.time for event in events))
    if writer.refused:
        raise TrackingFailed(
            f"MLflow at {tracker.uri} refused {len(writer.refused)} of the writes, the first with: "
            f"{error_text(writer.refused[0])}\nThe others are done; a repeated sync tries these again."
        )
    return SyncResult(tracker.uri, run.num_finished, tracker.num_written, tracker.status)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the journal's lock, so that no search and no other sync writes the same MLflow runs meanwhile."""
    try:
        journal = Journal(path)
    except RunFolderError:
        raise RunFolderError(
            f"{path} is being written: a search, or another sync, is at work on it. A search writes MLflow "
            "itself. Wait until it has ended, or stop it, and try again."
        ) from None
    except OSError as error:
        raise RunFolderError(
            f"{path} can't be locked: {error.strerror}. Sync on a machine that can write the run's folder."
        ) from error
    with journal:
        yield


def _open_tracker(
    recorded: RecordedRun, config: SearchConfig, *, uri: str | None, writer: DeferredWriter
) -> SearchTracker:
    started = recorded.started
    tracking = config.tracking.model_copy(update={"uri": uri or config.tracking.uri})
    # The config as the journal has it: validation would add settings that this version of raynas knows and
    # the one that ran the search did not.
    page = replace(search_page(recorded.folder, started, config), tracking=tracking, config=started.config)
    tracker = SearchTracker.open(page, space=config.make_space(), writer=writer)
    if tracker.is_new:
        tracker.config_changed(recorded.config)
    return tracker


def _replayed(config: SearchConfig, events: list[Event], tracker: SearchTracker) -> Run:
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


def _status(run: Run, events: list[Event], tracker: SearchTracker) -> str:
    """How the search ended, in MLflow's terms.

    A driver that was killed left no event about its end. If MLflow shows that the run ended early, its status
    is kept.
    """
    if run.is_complete:
        return "FINISHED"
    last = last_of_driver(events)
    if isinstance(last, Interrupted):
        return "KILLED" if last.is_by_signal else "FAILED"
    return tracker.status if tracker.status in STOPPED else "KILLED"
