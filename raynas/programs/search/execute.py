"""The main program: a search from its config to its leaderboard, on this machine or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raynas.cells.draw import genotype_svg
from raynas.cells.genotype import Genotype
from raynas.child import TrainChild
from raynas.data import ImageSplit, load_split
from raynas.engine.cluster import connected
from raynas.engine.pool import ChildPool
from raynas.engine.schedulers import build_scheduler
from raynas.engine.tuning import tune_run
from raynas.engine.worker import TrainerFactory
from raynas.errors import RunFolderError, SearchFailed, UsageError
from raynas.files import JOURNAL_FILE
from raynas.nn import NetworkConfig
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.open_run import opened, size_for
from raynas.programs.search.prepare import PreparedSearch, prepare_search
from raynas.run.failures import diagnosis
from raynas.run.folder import default_store
from raynas.run.leaderboard import LeaderboardEntry, final_front, leaderboard
from raynas.run.records import RunListener
from raynas.run.reuse import Memo, read_memo
from raynas.run.run import Run
from raynas.strategies.rewards.pareto import recorded_trade
from raynas.tracking.search_tracker import Tracker
from raynas.tracking.store import check_store
from raynas.training import ChildConfig, ChildTrainer, DeviceImages, LatencyCheck, Placement


@dataclass(frozen=True)
class SearchResult:
    """What a search leaves behind."""

    leaderboard: list[LeaderboardEntry]
    best: Genotype
    run_folder: Path
    mlflow_run_id: str | None
    mlflow_uri: str | None
    num_infeasible: int = 0
    """Proposals that were beyond the limits."""
    hypervolume: float | None = None
    """Below the front, in [0, 1], of a search whose reward keeps one."""

    @property
    def journal_path(self) -> Path:
        return self.run_folder / JOURNAL_FILE


def run_search(
    *,
    address: str | None = None,
    factory: TrainerFactory | None = None,
    listeners: Sequence[RunListener] = (),
    **words: Any,
) -> SearchResult:
    """Searches for a cell; with no arguments, the default run on scikit-learn's digits.

    Args:
        address: of a Ray cluster; None takes RAY_ADDRESS, or starts Ray on this machine.
        factory: makes, in each worker, the function that trains a child; None trains images.
        listeners: are told of every event.
        words: the arguments of `prepare_search`: data, space, strategy, children, ...
    Raises:
        UsageError: something given can't be used; nothing was started or overwritten.
        SearchFailed: the workers could not be kept running, no child or hardly any gets a score, nothing
            that is proposed is within the limits, or the journal can't be written.
        KeyboardInterrupt: interrupted; the run can be resumed.
    """
    return execute(prepare_search(**words), address=address, factory=factory, listeners=listeners)


def execute(
    search: PreparedSearch,
    *,
    address: str | None = None,
    factory: TrainerFactory | None = None,
    listeners: Sequence[RunListener] = (),
) -> SearchResult:
    """Runs a prepared search to its end; arguments and errors as in `run_search`."""
    config = search.config
    split = load_split(config.data, seed=config.seed)
    _check_network(config, split)
    # What a factory of somebody's own trains, and on what, nobody knows.
    images = split.digest() if factory is None else None
    memo = _read_memo(search, images)
    for listener in listeners:
        for note in memo.notes:
            listener.noted(note)
    if config.tracking.enabled:
        # Before Ray is started: a server that is away is the user's to mend.
        check_store(config.tracking.uri, default_store(search.folder))
    make_trainer = factory or functools.partial(
        image_trainer, network=config.network, child=config.child, latency=_latency_check(config)
    )
    with (
        connected(address),
        ChildPool(make_trainer, data=split, config=config.workers) as pool,
        opened(
            search,
            split,
            listeners=listeners,
            memo=memo,
            images=images,
            num_slots=pool.plan.num_slots,
        ) as (run, tracker),
    ):
        tune_run(run, pool, scheduler=build_scheduler(config.scheduler, config.child.epochs))
    return _result(run, tracker, search)


def image_trainer(
    placement: Placement,
    split: ImageSplit | None,
    *,
    network: NetworkConfig,
    child: ChildConfig,
    latency: LatencyCheck | None = None,
) -> TrainChild:
    """What trains children in a worker: the images go to its device once."""
    assert split is not None
    return ChildTrainer(network, child, DeviceImages(split, placement.device), placement, latency)


def _latency_check(config: SearchConfig) -> LatencyCheck | None:
    return LatencyCheck(config.latency, config.limits) if config.measures_latency else None


def _read_memo(search: PreparedSearch, images: str | None) -> Memo:
    """The scores of other runs that this one reuses.

    Raises:
        UsageError: they can't be had; or the images are not those that a resumed run began with.
    """
    started, config = search.started, search.config.model_dump(mode="json")
    if started and started.images and images and started.images != images:
        raise RunFolderError(
            f"{search.folder} was started on other images: those that data.source = "
            f"{search.config.data.source!r} gives have changed since, or their labels or order have. Scores "
            "on these would not compare with the earlier ones. Bring the images back, or start a new run."
        )
    if search.config.memo is None:
        return Memo()
    if images is None:
        raise UsageError("memo needs children that raynas trains: the fidelity of others is not known.")
    try:
        return read_memo(Path(search.config.memo), images=images, config=config, own=search.folder)
    except UsageError as error:
        if started is None or started.config.get("memo") != search.config.memo:
            raise
        # The journal alone is enough to go on with a run.
        return Memo(notes=[f"memo: nothing more is reused. {error}"])


def _check_network(config: SearchConfig, split: ImageSplit) -> None:
    """InvalidConfig if no network of this config can be built for these images."""
    space = config.make_space()
    size_for(config.network, split, space.decode((0,) * len(space.decisions)))


def _result(run: Run, tracker: Tracker | None, search: PreparedSearch) -> SearchResult:
    folder, trade = search.folder, recorded_trade(search.config.model_dump())
    entries = leaderboard(run.records.values(), trade=trade)
    if entries[0].reward is None:
        raise SearchFailed(diagnosis((entry.reason for entry in entries), len(entries)))
    best = run.child(entries[0].child).genotype
    try:
        (folder / "best_genotype.json").write_text(best.to_json() + "\n")
        (folder / "best_cell.svg").write_text(genotype_svg(best, title=_title(entries[0])))
    except OSError as error:
        raise SearchFailed(
            f"All children are done, but {error.filename} can't be written: {error.strerror}. "
            "Make room on the disk, or mend it; --resume then writes it."
        ) from error
    return SearchResult(
        entries,
        best,
        folder,
        tracker.mlflow_run_id if tracker else None,
        tracker.uri if tracker else None,
        run.num_infeasible,
        final_front(run.records.values(), trade).hypervolume() if trade else None,
    )


def _title(entry: LeaderboardEntry) -> str:
    return f"{entry.arch_id}  accuracy {entry.accuracy:.4f}"
