"""Carries out a prepared final training of any task: workers, curve, MLflow page and model folders."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from raynas.cells.genotype import Genotype
from raynas.engine.cluster import connected
from raynas.engine.final import TrainedStates, train_on_cluster
from raynas.engine.final_plan import TrainingPlan, plan_training
from raynas.engine.final_worker import TrainingFactory
from raynas.errors import InvalidConfig
from raynas.models.folder import INFO_FILE
from raynas.programs.train.config import AnyTrainConfig
from raynas.programs.train.curve import Curve, Summary
from raynas.programs.train.folder import write_config
from raynas.run.folder import default_store
from raynas.tracking.closing import closed_at_end
from raynas.tracking.experiment import check_store
from raynas.tracking.model_registry import Registered
from raynas.tracking.run_page import RunPage
from raynas.tracking.training_tracker import TrainingTracker
from raynas.training.final_config import StepSummary, TrainingSummary, micro_batch


@dataclass(frozen=True)
class TrainResult(Generic[Summary]):
    """What a training leaves behind."""

    folder: Path
    model: Path
    """Model folder of the last epoch's network, for `raynas export`."""
    best: Path
    """Model folder of the epoch with the best score."""
    summaries: list[Summary]
    """One per epoch, in order."""
    registered: Registered | None
    """The versions in MLflow's model registry. None means that MLflow is disabled or was unreachable."""


@dataclass(frozen=True)
class Execution(Generic[Summary]):
    """A prepared training, and what its task does with its parts."""

    folder: Path
    config: AnyTrainConfig
    summary: type[Summary]
    factory: TrainingFactory
    """Called in each worker with `given`."""
    given: Any
    """What Ray hands to every worker, once per node."""
    check_plan: Callable[[TrainingPlan], None]
    """InvalidConfig if these workers can't train as configured, for reasons that only the task knows."""
    save_models: Callable[[TrainedStates, list[Summary]], Mapping[str, Path]]
    """Writes the model folders; returns them by alias, 'last' and 'best'."""
    network: str
    """What is trained, in a word: the arch_id of a network of cells."""
    genotype: Genotype | None
    """Its cells; None for a network that is not made of cells."""
    registered_name: str | None
    """Name in MLflow's model registry; None if it is not registered."""
    command: str
    """The command that trains so, for messages."""


def execute(
    training: Execution[Summary],
    *,
    address: str | None = None,
    report: Callable[[Summary], None] = lambda _: None,
    report_step: Callable[[StepSummary], None] = lambda _: None,
) -> TrainResult[Summary]:
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
    curve = Curve(folder, training.summary)
    if config.tracking.enabled:
        # Before Ray starts, so that an unreachable MLflow server is reported at once.
        check_store(config.tracking.uri, default_store(folder), config.tracking.experiment)
    with connected(address, folder=folder):
        plan = plan_training(config.workers)
        # Before the first file is written: a training that can't run leaves no folder behind.
        _check_plan(config, plan)
        training.check_plan(plan)
        write_config(folder, config)
        with _tracked(training) as tracker:
            # What MLflow missed of earlier drivers' epochs is added; it takes each epoch once.
            for summary in curve.summaries:
                _show_epoch(tracker, summary)
            recorder = _Recorder(curve, tracker, report, report_step)
            states = _train(training, plan, recorder.record)
            models = training.save_models(states, curve.summaries)
            if tracker is not None:
                tracker.model_written((models["last"] / INFO_FILE).read_text(), training.genotype)
                if training.registered_name is not None:
                    tracker.register(training.registered_name, models)
    # The tracker registers models while it closes, so the versions are known only after the block.
    registered = tracker.registered if tracker is not None else None
    return TrainResult(folder, models["last"], models["best"], curve.summaries, registered)


@dataclass(frozen=True)
class _Recorder(Generic[Summary]):
    """What is done with every summary that the workers send."""

    curve: Curve[Summary]
    tracker: TrainingTracker | None
    report: Callable[[Summary], None]
    report_step: Callable[[StepSummary], None]

    def record(self, summary: TrainingSummary) -> None:
        """Writes a new epoch to the curve and to MLflow; reports every epoch and every checkpoint."""
        if isinstance(summary, StepSummary):
            self.report_step(summary)
            return
        assert isinstance(summary, self.curve.kind)
        if self.curve.append(summary):
            _show_epoch(self.tracker, summary)
        self.report(summary)


def _show_epoch(tracker: TrainingTracker | None, summary: Summary) -> None:
    if tracker is not None:
        tracker.epoch_done(summary.epoch, summary.metrics(), images=summary.images())


def _train(
    training: Execution[Summary], plan: TrainingPlan, report: Callable[[TrainingSummary], None]
) -> TrainedStates:
    config = training.config
    return train_on_cluster(
        training.factory,
        training.given,
        plan=plan,
        folder=training.folder,
        score=training.summary.score,
        max_failures=config.workers.max_failures,
        batch_size=config.training.batch_size,
        report_summary=report,
    )


def _check_plan(config: AnyTrainConfig, plan: TrainingPlan) -> None:
    # With fewer workers allowed, the batch is rounded down instead.
    if config.workers.at_least is None:
        micro_batch(config.training, plan.num_workers)
    if config.training.sync_norm and plan.num_workers > 1 and not plan.gpus:
        raise InvalidConfig(
            "training.sync_norm = true works only on GPUs, and these workers have none. Set it to false: "
            "each worker then normalises its own share of a batch."
        )


@contextlib.contextmanager
def _tracked(training: Execution[Summary]) -> Iterator[TrainingTracker | None]:
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
    tracker = TrainingTracker.open(page, arch_id=training.network, command=training.command)
    with closed_at_end(tracker):
        yield tracker
