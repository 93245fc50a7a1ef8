"""The main program: runs a search to its leaderboard, on this machine or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raynas.cells.draw import genotype_svg
from raynas.cells.genotype import Genotype
from raynas.cells.space import SearchSpace
from raynas.config import suggests_arguments
from raynas.data import ImageSplit, load_split
from raynas.engine.cluster import connected
from raynas.engine.pool import ChildPool
from raynas.engine.schedulers import build_scheduler
from raynas.engine.tuning import tune_run
from raynas.engine.worker_settings import TrainerFactory
from raynas.errors import InvalidConfig, RunFolderError, SearchFailed, UsageError
from raynas.nn import NetworkSpec
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.open_run import open_run, size_for
from raynas.programs.search.prepare import PreparedSearch, prepare_search
from raynas.programs.search.result import SearchResult, mean_epoch_seconds
from raynas.programs.search.shown import shown_progress
from raynas.run.failures import diagnosis
from raynas.run.folder import default_store
from raynas.run.leaderboard import LeaderboardEntry, final_front, leaderboard
from raynas.run.records import RunListener
from raynas.run.reuse import Memo, read_memo
from raynas.run.run import Run
from raynas.run.time_budget import TimeBudget
from raynas.strategies.rewards.pareto import recorded_trade
from raynas.strategies.rewards.reward import Reward
from raynas.strategies.strategy import Strategy
from raynas.tracking.experiment import check_store
from raynas.tracking.search_tracker import SearchTracker
from raynas.training.first_images import check_first_images
from raynas.training.latency import LatencyCheck
from raynas.training.single_image import can_train_on_one
from raynas.training.trainer import image_trainer

STARTING = "Starting the workers (about half a minute) ..."


@suggests_arguments
def run_search(
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
    address: str | None = None,
    factory: TrainerFactory | None = None,
    listeners: Sequence[RunListener] = (),
    progress: bool | None = None,
) -> SearchResult:
    """Searches for a cell; without arguments, the default run on scikit-learn's digits.

        result = raynas.run_search(data="photos/", children=100, settings={"child.batch_size": 128})
        result.to_dataframe()

    Args:
        data: 'digits', or a path to Parquet files, a CSV file of labels or one folder per class.
        space: the search space: a registered name, 'package.module:ClassName', or a class of your own, which
            may be defined in a script or a notebook.
        strategy: what proposes architectures, given likewise.
        reward: the reward, given likewise.
        children: number of architectures to try.
        hours: hours after which the search ends, even if fewer children were tried; no child is started that
            would end later.
        workers: number of children that train at the same time; 'auto' means as many as the cluster holds.
        epochs: training epochs per child.
        seed: seed of the strategy, of the data's split and of the children.
        memo: folder of an earlier run, or of several, whose scores are reused.
        out: the run's folder; defaults to a new one below runs/, or with `resume` to the newest one.
        resume: continues the run in `out`. Other arguments may then change how much is computed, and where,
            and nothing that a child's result depends on.
        recipe: the settings to start from: 'small', 'nasnet_paper', 'amoebanet_paper', 'small_final' or
            'cifar_final'.
            An argument that is None keeps the recipe's value.
        settings: any other fields of SearchConfig, nested or dotted: {"child": {"batch_size": 128}} or
            {"child.batch_size": 128}.
        address: address of a Ray cluster; defaults to RAY_ADDRESS, or else Ray is started on this machine.
        factory: makes, in each worker, the function that trains a child; defaults to training on images.
        listeners: objects that are called at every event of the run.
        progress: whether to show the progress; None means in a notebook and on a terminal.
    Raises:
        UsageError: an argument can't be used; nothing was started or overwritten.
        SearchFailed: the workers could not be kept running, no child or hardly any got a score, no proposal
            was within the limits, or the journal could not be written.
        KeyboardInterrupt: the search was interrupted; it can be resumed.
    """
    search = prepare_search(
        data=data,
        space=space,
        strategy=strategy,
        reward=reward,
        children=children,
        hours=hours,
        workers=workers,
        epochs=epochs,
        seed=seed,
        memo=memo,
        out=out,
        resume=resume,
        recipe=recipe,
        settings=settings,
    )
    with shown_progress(search.config.children, is_asked=progress) as shown:
        return execute(search, address=address, factory=factory, listeners=[*listeners, *shown])


def execute(
    search: PreparedSearch,
    *,
    address: str | None = None,
    factory: TrainerFactory | None = None,
    listeners: Sequence[RunListener] = (),
) -> SearchResult:
    """Runs a prepared search to its end; arguments and errors as in `run_search`."""
    config = search.config
    # Made first: the time in which images are read and workers start counts too.
    budget = None if config.hours is None else TimeBudget(config.hours * 3600)
    split = checked_images(config, are_trained_on=factory is None)
    # What a user's own factory trains on is not known, so its scores can't be reused by other runs.
    images = split.digest() if factory is None else None
    memo = _read_memo(search, images)
    notes = [*split.described(), *memo.notes]
    if factory is None:
        notes.append(config.child.augmentation.described(split))
    for listener in listeners:
        for note in notes:
            listener.noted(note)
    if config.tracking.enabled:
        # Checked before Ray is started, because only the user can correct a wrong URI or start the server.
        check_store(config.tracking.uri, default_store(search.folder), config.tracking.experiment)
    make_trainer = factory or functools.partial(
        image_trainer, network=config.network, child=config.child, latency=_latency_check(config)
    )
    opened = functools.partial(
        open_run, search, split, listeners=listeners, memo=memo, images=images, budget=budget
    )
    if search.num_finished >= config.children:
        # Ray and its workers take half a minute to start, and would have nothing to do.
        for listener in listeners:
            listener.noted(
                f"{search.num_finished} children are done, and children = {config.children}: nothing is "
                "trained. A higher number of children continues the search."
            )
        with opened(num_slots=1) as (run, tracker):
            pass
        return _result(run, tracker, search)
    for listener in listeners:
        listener.noted(STARTING)
    with (
        connected(address, folder=search.folder),
        ChildPool(make_trainer, data=split, config=config.workers) as pool,
        opened(num_slots=pool.plan.num_slots) as (run, tracker),
    ):
        tune_run(run, pool, scheduler=build_scheduler(config.scheduler, config.child.epochs))
        if run.is_out_of_time and not run.is_complete:
            for listener in listeners:
                listener.noted(
                    f"The {config.hours:g} hours are over: {run.num_finished} of {config.children} children "
                    "are done. A resume does the others."
                )
    return _result(run, tracker, search)


def checked_images(config: SearchConfig, *, are_trained_on: bool = True) -> ImageSplit:
    """The images of a search, of which a network of its config can be built.

    Args:
        are_trained_on: they are what children train on, so augmentation and batches must suit them.
    Raises:
        UsageError: the data set, or a setting for these images, can't be used.
    """
    split = load_split(config.data, seed=config.seed)
    _check_network(config, split)
    if are_trained_on:
        _check_steps(config, split)
        check_first_images(split, config.child.augmentation, seed=config.seed)
    return split


def _latency_check(config: SearchConfig) -> LatencyCheck | None:
    return LatencyCheck(config.latency, config.limits) if config.measures_latency else None


def _read_memo(search: PreparedSearch, images: str | None) -> Memo:
    """The scores of other runs that this one reuses.

    Raises:
        UsageError: the scores can't be read, or the images are not those that a resumed run was started on.
    """
    started, config = search.started, search.config.model_dump(mode="json")
    if started and started.images and images and started.images != images:
        raise RunFolderError(
            f"{search.folder} was started on other images: those at data.source = "
            f"{search.config.data.source!r} have changed since then, or their labels or order have. New "
            "scores could not be compared with the earlier ones. Restore the images, or start a new run."
        )
    if search.config.memo is None:
        return Memo()
    if images is None:
        raise UsageError(
            "memo needs children that raynas trains itself: how your own factory trains them is not known."
        )
    try:
        return read_memo(Path(search.config.memo), images=images, config=config, own=search.folder)
    except UsageError as error:
        if started is None or started.config.get("memo") != search.config.memo:
            raise
        # A resumed run has read these scores before, and its journal has those that it used.
        return Memo(notes=[f"memo: nothing more is reused. {error}"])


def _check_network(config: SearchConfig, split: ImageSplit) -> None:
    """InvalidConfig if no network of this config can be built for these images."""
    size_for(config.network, split, _some_genotype(config))


def _some_genotype(config: SearchConfig) -> Genotype:
    space = config.make_space()
    return space.decode((0,) * len(space.decisions))


def _check_steps(config: SearchConfig, split: ImageSplit) -> None:
    """InvalidConfig if a worker's step has so few images that a network's norms can't be trained."""
    share = min(config.child.batch_size, split.num_train_images) // config.workers.per_child
    spec = NetworkSpec(
        _some_genotype(config), config.network, split.num_channels, split.num_classes, split.image_size
    )
    if share > 1 or (share == 1 and can_train_on_one(spec)):
        return
    raise InvalidConfig(
        f"child.batch_size = {config.child.batch_size} gives each of workers.per_child = "
        f"{config.workers.per_child} workers {share} images a step, of {split.num_train_images:,} training "
        "images, and batch norm needs two. Give a larger batch, or fewer workers per child."
    )


def _result(run: Run, tracker: SearchTracker | None, search: PreparedSearch) -> SearchResult:
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
            "Free some disk space, then resume the run, which writes it."
        ) from error
    return SearchResult(
        leaderboard=entries,
        best=best,
        config=search.config,
        run_folder=folder,
        mlflow_run_id=tracker.mlflow_run_id if tracker else None,
        mlflow_uri=tracker.uri if tracker else None,
        records=list(run.records.values()),
        decisions=tuple(search.config.make_space().decisions),
        epoch_seconds=mean_epoch_seconds(run.records.values()),
        hypervolume=final_front(run.records.values(), trade).hypervolume() if trade else None,
    )


def _title(entry: LeaderboardEntry) -> str:
    return f"{entry.arch_id}  accuracy {entry.accuracy:.4f}"
