"""The final training of a classifier: from its config to a model folder, on this machine or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from raynas.config import merged, nested, suggests_arguments
from raynas.programs.train.execute import Execution, TrainResult, execute
from raynas.programs.train.models import registered_name, save_models
from raynas.programs.train.pace import within_hours
from raynas.programs.train.prepare import PreparedTraining, field_overrides, prepare_named_training
from raynas.programs.train.worker import WorkerInput, build_training
from raynas.training.final_config import ClassifierSummary, StepSummary


@suggests_arguments
def train_final(
    what: str | None = None,
    *,
    recipe: str | None = None,
    data: str | None = None,
    workers: int | Literal["auto"] | None = None,
    nodes: int | None = None,
    min_workers: int | None = None,
    epochs: int | None = None,
    hours: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    address: str | None = None,
    report: Callable[[ClassifierSummary], None] = lambda _: None,
) -> TrainResult[ClassifierSummary]:
    """Trains one network to the end; `raynas train` as a function.

    Args:
        what: a published cell or network, a run's folder (its best cell) or a JSON file. Defaults to the best
            cell of the newest run, or on resume to the training's own.
        recipe: name of a training recipe, from which every field that isn't given comes. Defaults to
            small_final, or on resume to the training's own.
        data: 'digits', Parquet files, a CSV file of labels, class folders, or a URI (data.source).
        workers: number of workers over all nodes, or 'auto' (workers.count).
        nodes: use all GPUs of this many nodes, instead of `workers` (workers.nodes).
        min_workers: train with this many workers when nodes are lost (workers.at_least). Defaults to all.
        epochs: full passes over the training images (training.epochs).
        hours: instead of `epochs`: as many as fit into these hours at the pace that is measured first.
        batch_size: images per update, over all workers (training.batch_size).
        seed: seed of the initial weights, the order of images and their augmentation.
        weights: begin from these weights: a file, the folder of a training or of a trained network, or
            'timm:NAME' (weights.source). The classifier is new where the classes are other ones. If `what` is
            not given and a model folder is, its network is trained. Defaults to random weights.
        out: the training's folder. Defaults to a new one below runs/.
        resume: continue the training in `out` from its last checkpoint.
        settings: other fields of TrainConfig, nested or dotted, such as {"training.gradient_clip": 1.0}.
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
        settings=merged(nested(settings or {}), arguments),
    )
    if hours is not None:
        prepared = within_hours(prepared, hours, is_resumed=resume)
    return train_prepared(prepared, address=address, report=report)


def train_prepared(
    training: PreparedTraining,
    *,
    address: str | None = None,
    report: Callable[[ClassifierSummary], None] = lambda _: None,
    report_step: Callable[[StepSummary], None] = lambda _: None,
) -> TrainResult[ClassifierSummary]:
    """Runs a prepared training to its end; arguments and errors are those of `execute`."""
    config, folder = training.config, training.folder
    execution = Execution(
        folder=folder,
        config=config,
        summary=ClassifierSummary,
        factory=functools.partial(build_training, folder=folder, config=config),
        given=WorkerInput(training.data, training.initial),
        check_plan=lambda plan: training.check_steps(plan.num_workers),
        save_models=functools.partial(save_models, training),
        network=config.genotype.arch_id,
        genotype=config.genotype,
        registered_name=registered_name(config),
        command="raynas train",
    )
    return execute(execution, address=address, report=report, report_step=report_step)
