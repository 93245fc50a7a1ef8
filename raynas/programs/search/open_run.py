"""A search's run with its journal and its tracker: opened before the first child, closed whatever happens."""

from __future__ import annotations

import contextlib
import functools
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from raynas.cells.genotype import Genotype
from raynas.data import ImageSplit
from raynas.environment import machine, versions
from raynas.errors import JournalFailed, shortened
from raynas.files import JOURNAL_FILE
from raynas.nn import Complexity, NetworkConfig, NetworkSpec
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.prepare import PreparedSearch
from raynas.programs.search.snapshots import Snapshots
from raynas.run.events import Driver, Resumed, Started
from raynas.run.interruption import signal_name
from raynas.run.journal import Journal
from raynas.run.records import RunListener
from raynas.run.reuse import Memo
from raynas.run.run import Run
from raynas.run.time_budget import TimeBudget
from raynas.tracking.closing import closed_at_end
from raynas.tracking.run_page import RunPage
from raynas.tracking.search_tracker import SearchTracker

MAX_END_REASON_LENGTH = 200
"""Number of characters that the journal keeps of the reason why a driver ended."""


@contextlib.contextmanager
def open_run(
    search: PreparedSearch,
    split: ImageSplit,
    *,
    num_slots: int,
    listeners: Sequence[RunListener] = (),
    memo: Memo | None = None,
    images: str | None = None,
    budget: TimeBudget | None = None,
) -> Iterator[tuple[Run, SearchTracker | None]]:
    """The run with its journal and its tracker, replayed and ready for the next child.

    All are closed at the end of the block. If the block raises, the journal gets an `Interrupted` event and
    MLflow the status FAILED, or KILLED after an interruption.

    Args:
        split: the images, from which the sizes of the networks follow.
        num_slots: number of children that train at the same time.
        images: digest of the images, for the journal; None means that the children train on something else.
        budget: the time that is left; None means that time doesn't count.
    """
    if budget is not None:
        budget.num_slots = num_slots
    journal, started = _open_journal(search, _driver(num_slots), images)
    with journal:
        tracker = open_tracker(search, started)
        snapshots, run = _make_run(
            search,
            split,
            journal,
            listeners=[*([tracker] if tracker else []), *listeners],
            memo=memo,
            budget=budget,
        )
        # Left from the inside out: the journal's word on the end comes first, since MLflow may take more
        # time than a process that was told to end has left.
        with closed_at_end(tracker), _end_in_journal(run):
            snapshots.recall()
            run.replay(search.events)
            yield run, tracker


def _driver(num_slots: int) -> Driver:
    return Driver(host=socket.gethostname(), slots=num_slots, machine=machine(), versions=versions())


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


def open_tracker(search: PreparedSearch, started: Started) -> SearchTracker | None:
    """The search's view in MLflow; None if tracking is switched off."""
    if not search.config.tracking.enabled:
        return None
    page = search_page(search.folder, started, search.config)
    return SearchTracker.open(page, space=search.config.make_space())


def search_page(folder: Path, started: Started, config: SearchConfig) -> RunPage:
    """What MLflow is told of a search from its start on."""
    return RunPage(
        kind="search",
        run_id=started.run_id,
        folder=folder,
        tracking=config.tracking,
        config=config.model_dump(mode="json"),
        origin=config.origin,
        start_time=started.time,
    )


def _make_run(
    search: PreparedSearch,
    split: ImageSplit,
    journal: Journal,
    *,
    listeners: Sequence[RunListener],
    memo: Memo | None,
    budget: TimeBudget | None,
) -> tuple[Snapshots, Run]:
    config, space = search.config, search.config.make_space()
    strategy = config.make_strategy(space)
    snapshots = Snapshots(strategy, journal.path)
    run = Run(
        space,
        strategy,
        num_children=config.children,
        seed=config.seed,
        reward=config.make_reward(),
        journal=journal,
        listeners=[snapshots, *listeners],
        measure=functools.partial(size_for, config.network, split),
        limits=config.limits,
        reuses=config.equal_cells == "reuse",
        memo=memo.scores if memo else None,
        failures=config.failures,
        budget=budget,
    )
    return snapshots, run


@contextlib.contextmanager
def _end_in_journal(run: Run) -> Iterator[None]:
    """Closes the run with the block, and writes down why if the block raises."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(JournalFailed):
            run.interrupt(_end_reason(error))
        raise
    finally:
        run.close()


def _end_reason(error: BaseException) -> str:
    """Why the driver ended, for the journal: the name of a signal or the first sentence of an error."""
    if isinstance(error, KeyboardInterrupt):
        return signal_name()
    sentence = str(error).partition("\n")[0].partition(". ")[0]
    return shortened(sentence, MAX_END_REASON_LENGTH) or type(error).__name__


def size_for(network: NetworkConfig, split: ImageSplit, genotype: Genotype) -> Complexity:
    """The size of the network that `genotype` becomes for these images."""
    spec = NetworkSpec(genotype, network, split.num_channels, split.num_classes, split.image_size)
    return spec.complexity()
