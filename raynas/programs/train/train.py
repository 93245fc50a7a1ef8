"""The program of final training: from its config to a model folder, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cells
from raynas.config import merged, without_none
from raynas.engine.cluster import connected
from raynas.engine.final import train_on_cluster
from raynas.engine.final_plan import TrainingPlan, plan_training
from raynas.errors import InvalidConfig, RunFolderError, UnknownName
from raynas.models.folder import INFO_FILE
from raynas.models.networks import NETWORKS
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.data import find_data
from raynas.programs.train.folder import (
    append_to_curve,
    check_is_free,
    read_curve,
    resumed_config,
    write_config,
)
from raynas.programs.train.models import registered_name, save_models
from raynas.programs.train.prepared import PreparedTraining, build_training
from raynas.programs.train.recipes import DEFAULT_RECIPE, train_config
from raynas.run.events import Origin
from raynas.run.folder import default_store, new_training_folder
from raynas.run.lookup import FoundCell, find_cell
from raynas.tracking.closing import closed_at_end
from raynas.tracking.model_registry import Registered
from raynas.tracking.run_page import RunPage
from raynas.tracking.store import check_store
from raynas.tracking.training_tracker import TrainingTracker
from raynas.training.final_config import EpochSummary, StepSummary, Summary, micro_batch


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind."""

    folder: Path
    model: Path
    """The last epoch's network, for raynas.models.folder.load_model and `raynas export`."""
    best: Path
    """The network of the epoch with the highest top-1."""
    summaries: list[EpochSummary]
    registered: Registered | None
    """In MLflow's registry; None: MLflow is switched off or away."""


def train_final(
    what: str | None = None,
    *,
    recipe: str | None = None,
    data: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    address: str | None = None,
    report: Callable[[EpochSummary], None] = lambda _: None,
) -> TrainResult:
    """Trains one network to the end; `raynas train` as a function.

    Args:
        what: a published cell or network, a run's folder (its best cell) or a JSON file; None: the best cell
            of the newest run.
        recipe: of TRAIN_RECIPES; None: cifar_final, or the resumed training's own.
        data: fills data.source.
        out: the training's folder; None: a new one below runs/.
        resume: go on with the training in `out`.
        settings: fields of TrainConfig laid over the recipe.
        address, report: as of `train_prepared`.
    Raises:
        UsageError, TrainingFailed: as of `prepare_training` and `train_prepared`.
    """
    if resume and out is None:
        raise RunFolderError("resume needs out, the folder of the training to go on with.")
    words = without_none({"data": {"source": data}})
    found = None if resume and what is None else find_start(what)
    prepared = prepare_training(
        found.genotype if found else None,
        cell=str(what or "best"),
        origin=found.origin if found else None,
        recipe=recipe,
        out=Path(out) if out is not None else new_training_folder(),
        resume=resume,
        settings=merged(settings or {}, words),
    )
    return train_prepared(prepared, address=address, report=report)


def find_start(what: str | None) -> FoundCell:
    """The cell that is meant: as of `find_cell`, and a published network's."""
    try:
        return find_cell(NETWORKS[what].cell if what in NETWORKS else what)
    except UnknownName as error:
        known = [*published_cells(), *NETWORKS]
        raise UnknownName("published cell or network", error.name, known, error.hint) from None


def prepare_training(
    genotype: Genotype | None,
    *,
    cell: str,
    origin: Origin | None = None,
    recipe: str | None = None,
    out: Path,
    resume: bool = False,
    is_plan: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PreparedTraining:
    """The validated config and the data of a training.

    Args:
        genotype, cell: what is trained, and what it is called; resumed, None takes the training's own.
        origin: the run that the genotype is from; None: from none.
        recipe: None: DEFAULT_RECIPE, or the resumed training's own.
        resume: go on with the training in `out`: with its own config; `settings` may change its workers.
        is_plan: nothing will be trained; see find_data.
    Raises:
        UsageError: something given can't be used; nothing was started or overwritten.
    """
    if resume:
        config = resumed_config(out, settings or {}, genotype=genotype, recipe=recipe)
    else:
        check_is_free(out)
        assert genotype is not None
        words = {"cell": cell, "genotype": genotype.to_dict(), "origin": origin}
        config = train_config(recipe or DEFAULT_RECIPE, merged(settings or {}, words))
    prepared = PreparedTraining(out, config, find_data(config.data, seed=config.seed, is_plan=is_plan))
    prepared.check()
    return prepared


def train_prepared(
    training: PreparedTraining,
    *,
    address: str | None = None,
    report: Callable[[EpochSummary], None] = lambda _: None,
    report_step: Callable[[StepSummary], None] = lambda _: None,
) -> TrainResult:
    """Runs a prepared training to its end.

    Args:
        address: of a Ray cluster; None takes RAY_ADDRESS, or starts Ray on this machine.
        report: called after each epoch.
        report_step: called after each checkpoint within an epoch.
    Raises:
        UsageError: the data or the cluster can't be used as asked.
        TrainingFailed: it diverged, or its workers could not be kept.
    """
    config, folder = training.config, training.folder
    summaries = read_curve(folder)

    workers = config.workers
    if config.tracking.enabled:
        # Before Ray is started: a server that is away is the user's to mend.
        check_store(config.tracking.uri, default_store(folder))
    with connected(address):
        plan = plan_training(workers)
        # Before the workers are started.
        _check_plan(config, plan)
        write_config(folder, config)
        with _tracked(training) as tracker:

            def heard(summary: Summary) -> None:
                if isinstance(summary, StepSummary):
                    report_step(summary)
                else:
                    _keep(summary, summaries, folder, tracker)
                    report(summary)

            states = train_on_cluster(
                functools.partial(build_training, folder=folder, config=config),
                training.data,
                plan=plan,
                folder=folder,
                max_failures=workers.max_failures,
                batch_size=config.training.batch_size,
                report=heard,
            )
            models = save_models(training, states, summaries)
            if tracker is not None:
                genotype = Genotype.from_dict(config.genotype)
                tracker.model_written((models["last"] / INFO_FILE).read_text(), genotype)
                tracker.register(registered_name(config), models)
    # It is known when the tracker is closed.
    registered = tracker.registered if tracker is not None else None
    return TrainResult(folder, models["last"], models["best"], summaries, registered)


def _check_plan(config: TrainConfig, plan: TrainingPlan) -> None:
    if config.workers.at_least is None:
        micro_batch(config.training, plan.num_workers)
    if config.training.sync_norm and plan.num_workers > 1 and not plan.gpus:
        raise InvalidConfig(
            "training.sync_norm = true works on GPUs alone, and these workers have none. Set it to false: "
            "each worker then normalises its own share of a batch."
        )


@contextlib.contextmanager
def _tracked(training: PreparedTraining) -> Iterator[TrainingTracker | None]:
    """MLflow's run, which ends with the block, whatever happens; None if it is switched off."""
    config = training.config
    if not config.tracking.enabled:
        yield None
        return
    page = RunPage(
        kind="training",
        run_id=config.run_id,
        folder=training.folder,
        tracking=config.tracking,
        config=config.model_dump(mode="json"),
        origin=config.origin,
    )
    tracker = TrainingTracker.open(page, arch_id=Genotype.from_dict(config.genotype).arch_id)
    with closed_at_end(tracker):
        yield tracker


def _keep(
    summary: EpochSummary, summaries: list[EpochSummary], folder: Path, tracker: TrainingTracker | None
) -> None:
    """An epoch that is new goes into the curve's file and to MLflow."""
    if summaries and summary.epoch <= summaries[-1].epoch:
        return
    append_to_curve(folder, summary)
    summaries.append(summary)
    if tracker is not None:
        tracker.epoch_done(summary.epoch, summary.model_dump(exclude={"epoch"}))
