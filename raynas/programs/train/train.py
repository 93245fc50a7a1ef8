"""The program of final training: from its config to a model folder, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raynas.config import merged
from raynas.engine.cluster import connected
from raynas.engine.final import TrainedStates, train_on_cluster
from raynas.engine.final_plan import TrainingPlan, plan_training
from raynas.errors import InvalidConfig
from raynas.models.folder import INFO_FILE
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.curve import Curve
from raynas.programs.train.folder import write_config
from raynas.programs.train.models import registered_name, save_models
from raynas.programs.train.prepare import PreparedTraining, field_overrides, prepare_named_training
from raynas.programs.train.worker import WorkerInput, build_training
from raynas.run.folder import default_store
from raynas.tracking.closing import closed_at_end
from raynas.tracking.experiment import check_store
from raynas.tracking.model_registry import Registered
from raynas.tracking.run_page import RunPage
from raynas.tracking.training_tracker import TrainingTracker
from raynas.training.final_config import ClassifierSummary, StepSummary, TrainingSummary, micro_batch


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind."""

    folder: Path
    model: Path
    """Model folder of the last epoch's network, for raynas.models.folder.load_model and `raynas export`."""
    best: Path
    """Model folder of the epoch with the highest top-1."""
    summaries: list[ClassifierSummary]
    """One per epoch, in order."""
    registered: Registered | None
    """The versions in MLflow's model registry. None means that MLflow is disabled or was unreachable."""


def train_final(
    what: str | None = None,
    *,
    recipe: str | None = None,
    data: str | None = None,
    workers: int | Literal["auto"] | None = None,
    nodes: int | None = None,
    min_workers: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    address: str | None = None,
    report: Callable[[ClassifierSummary], None] = lambda _: None,
) -> TrainResult:
    """Trains one network to the end; `raynas train` as a function.

    Args:
        what: a published cell or network, a run's folder (its best cell) or a JSON file. Defaults to the best
            cell of the newest run, or on resume to the training's own.
        recipe: name of a training recipe, from which every field that isn't given comes. Defaults to
            cifar_final, or on resume to the training's own.
        data: 'digits', Parquet files, a folder of class folders, or a URI (data.source).
        workers: number of workers over all nodes, or 'auto' (workers.count).
        nodes: use all GPUs of this many nodes, instead of `workers` (workers.nodes).
        min_workers: train with this many workers when nodes are lost (workers.at_least). Defaults to all.
        epochs: full passes over the training images (training.epochs).
        batch_size: images per update, over all workers (training.batch_size).
        seed: seed of the initial weights, the order of images and their augmentation.
        weights: begin from these weights: a file, the folder of a training or of a trained network, or
            'timm:NAME' (weights.source). The classifier is new where the classes are other ones. If `what` is
            not given and a model folder is, its network is trained. Defaults to random weights.
        out: the training's folder. Defaults to a new one below runs/.
        resume: continue the training in `out` from its last checkpoint.
        settings: other fields of TrainConfig, nested, such as {"training": {"gradient_clip": 1.0}}.
        address: address of a Ray cluster. Defaults to RAY_ADDRESS, or to a Ray started on this machine.
        report: called after each epoch.
    Raises:
        UsageError: an argument can't be used, or the cluster can't train as configured.
        TrainingFailed: the training diverged, or too many workers were lost.
    """
    arguments = field_overrides(
        data=data,
        workers=workers,
        nodes=nodes,
        min_workers=min_workers,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        weights=weights,
    )
    prepared = prepare_named_training(
        what,
        recipe=recipe,
        out=Path(out) if out is not None else None,
        resume=resume,
        settings=merged(settings or {}, arguments),
    )
    return train_prepared(prepared, address=address, report=report)


def train_prepared(
    training: PreparedTraining,
    *,
    address: str | None = None,
    report: Callable[[ClassifierSummary], None] = lambda _: None,
    report_step: Callable[[StepSummary], None] = lambda _: None,
) -> TrainResult:
    """Runs a prepared training to its end.

    Args:
        address: address of a Ray cluster. Defaults to RAY_ADDRESS, or to a Ray started on this machine.
        report: called after each epoch.
        report_step: called after each checkpoint within an epoch.
    Raises:
        UsageError: the data or the cluster can't be used as configured.
        TrainingFailed: the training diverged, or too many workers were lost.
    """
    config, folder = training.config, training.folder
    curve = Curve(folder, ClassifierSummary)
    if config.tracking.enabled:
        # Before Ray starts, so that an unreachable MLflow server is reported at once.
        check_store(config.tracking.uri, default_store(folder), config.tracking.experiment)
    with connected(address, folder=folder):
        plan = plan_training(config.workers)
        # Before the first file is written: a training that can't run leaves no folder behind.
        _check_plan(config, plan)
        training.check_steps(plan.num_workers)
        write_config(folder, config)
        with _tracked(training) as tracker:
            # What MLflow missed of earlier drivers' epochs is added; it takes each epoch once.
            for summary in curve.summaries:
                _show_epoch(tracker, summary)
            recorder = _Recorder(curve, tracker, report, report_step)
            states = _train(training, plan, recorder.record)
            models = save_models(training, states, curve.summaries)
            if tracker is not None:
                _register(models, tracker, config)
    # The tracker registers models while it closes, so the versions are known only after the block.
    registered = tracker.registered if tracker is not None else None
    return TrainResult(folder, models["last"], models["best"], curve.summaries, registered)


@dataclass(frozen=True)
class _Recorder:
    """What is done with every summary that the workers send."""

    curve: Curve[ClassifierSummary]
    tracker: TrainingTracker | None
    report: Callable[[ClassifierSummary], None]
    report_step: Callable[[StepSummary], None]

    def record(self, summary: TrainingSummary) -> None:
        """Writes a new epoch to the curve and to MLflow; reports every epoch and every checkpoint."""
        if isinstance(summary, StepSummary):
            self.report_step(summary)
            return
        assert isinstance(summary, ClassifierSummary)
        if self.curve.append(summary):
            _show_epoch(self.tracker, summary)
        self.report(summary)


def _show_epoch(tracker: TrainingTracker | None, summary: ClassifierSummary) -> None:
    if tracker is not None:
        tracker.epoch_done(summary.epoch, summary.model_dump(exclude={"epoch"}))


def _train(
    training: PreparedTraining, plan: TrainingPlan, report: Callable[[TrainingSummary], None]
) -> TrainedStates:
    config = training.config
    return train_on_cluster(
        functools.partial(build_training, folder=training.folder, config=config),
        WorkerInput(training.data, training.initial),
        plan=plan,
        folder=training.folder,
        score=ClassifierSummary.score,
        max_failures=config.workers.max_failures,
        batch_size=config.training.batch_size,
        report_summary=report,
    )


def _register(models: Mapping[str, Path], tracker: TrainingTracker, config: TrainConfig) -> None:
    """Has the tracker write the networks' description and register them."""
    tracker.model_written((models["last"] / INFO_FILE).read_text(), config.genotype)
    tracker.register(registered_name(config), models)


def _check_plan(config: TrainConfig, plan: TrainingPlan) -> None:
    # With fewer workers allowed, the batch is rounded down instead.
    if config.workers.at_least is None:
        micro_batch(config.training, plan.num_workers)
    if config.training.sync_norm and plan.num_workers > 1 and not plan.gpus:
        raise InvalidConfig(
            "training.sync_norm = true works only on GPUs, and these workers have none. Set it to false: "
            "each worker then normalises its own share of a batch."
        )


@contextlib.contextmanager
def _tracked(training: PreparedTraining) -> Iterator[TrainingTracker | None]:
    """The training's MLflow run, which ends with the block whatever happens; None if MLflow is disabled."""
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
    tracker = TrainingTracker.open(page, arch_id=config.genotype.arch_id)
    with closed_at_end(tracker):
        yield tracker
