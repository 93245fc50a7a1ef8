"""A search's run with its journal and its tracker: opened before the first child, closed whatever happens."""

from __future__ import annotations

import contextlib
import functools
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from raynas.cells.genotype import Genotype
from raynas.cells.space import SearchSpace
from raynas.data import ImageSplit
from raynas.environment import machine, versions
from raynas.errors import JournalFailed
from raynas.files import JOURNAL_FILE
from raynas.nn import Complexity, NetworkConfig, NetworkSpec
from raynas.programs.search.prepare import PreparedSearch
from raynas.programs.search.snapshots import Snapshots
from raynas.run.events import Driver, Resumed, Started
from raynas.run.folder import default_store
from raynas.run.interruption import signal_name
from raynas.run.journal import Journal
from raynas.run.records import RunListener
from raynas.run.reuse import Memo
from raynas.run.run import Run
from raynas.tracking.config import INTERRUPTED_TRACKER_SECONDS, TRACKER_SECONDS
from raynas.tracking.search_tracker import Tracker

MAX_REASON_LENGTH = 200
"""Of what the journal says about the end of a driver."""


@contextlib.contextmanager
def opened(
    search: PreparedSearch,
    split: ImageSplit,
    *,
    num_slots: int,
    listeners: Sequence[RunListener] = (),
    memo: Memo | None = None,
    images: str | None = None,
) -> Iterator[tuple[Run, Tracker | None]]:
    """The run, with its journal and its tracker open; both are closed whatever happens.

    A run that ends before its time is interrupted, and its journal says so.
    """
    config, space = search.config, search.config.make_space()
    driver = Driver(host=socket.gethostname(), slots=num_slots, machine=machine(), versions=versions())
    journal, started = _open_journal(search, driver, images)
    with journal:
        tracker = open_tracker(search, started, space)
        strategy = config.make_strategy(space)
        snapshots = Snapshots(strategy, journal.path)
        run = Run(
            space,
            strategy,
            num_children=config.children,
            seed=config.seed,
            reward=config.make_reward(),
            journal=journal,
            listeners=[snapshots, *([tracker] if tracker else []), *listeners],
            measure=functools.partial(size_for, config.network, split),
            limits=config.limits,
            reuses=config.equal_cells == "reuse",
            memo=memo.scores if memo else None,
            failures=config.failures,
        )
        status, patience = "FAILED", TRACKER_SECONDS
        try:
            snapshots.recall()
            run.replay(search.events)
            yield run, tracker
            status = "FINISHED"
        except BaseException as error:
            # First of all: what follows may take longer than there is time.
            with contextlib.suppress(JournalFailed):
                run.interrupt(_why(error))
            if isinstance(error, KeyboardInterrupt):
                status, patience = "KILLED", INTERRUPTED_TRACKER_SECONDS
            raise
        finally:
            run.close()
            if tracker is not None:
                tracker.close(status, timeout=patience)


def _why(error: BaseException) -> str:
    """A driver ended, as the journal has it."""
    if isinstance(error, KeyboardInterrupt):
        return signal_name()
    # Its first sentence.
    return str(error).partition("\n")[0].partition(". ")[0][:MAX_REASON_LENGTH] or type(error).__name__


def _open_journal(search: PreparedSearch, driver: Driver, images: str | None) -> tuple[Journal, Started]:
    path = search.folder / JOURNAL_FILE
    if search.started is None:
        started = Started(
            run_id=uuid.uuid4().hex,
            raynas=version("raynas"),
            time=time.time(),
            config=search.config.model_dump(mode="json"),
            driver=driver,
            images=images,
        )
        return Journal.create(path, started), started
    journal, _ = Journal.reopen(path)
    journal.append(Resumed(time=time.time(), children=search.config.children, driver=driver))
    return journal, search.started


def open_tracker(search: PreparedSearch, started: Started, space: SearchSpace) -> Tracker | None:
    """The search's MLflow view, if it has one."""
    tracking = search.config.tracking
    if not tracking.enabled:
        return None
    return Tracker.open(
        tracking.uri,
        experiment=tracking.experiment,
        run_name=search.folder.name,
        run_id=started.run_id,
        config=search.config.model_dump(mode="json"),
        space=space,
        default_store=default_store(search.folder),
        run_folder=search.folder,
        start_time=started.time,
        origin=search.config.origin,
    )


def size_for(network: NetworkConfig, split: ImageSplit, genotype: Genotype) -> Complexity:
    """The size of the network that `genotype` becomes for these images."""
    spec = NetworkSpec(genotype, network, split.num_channels, split.num_classes, split.image_size)
    return spec.complexity()
