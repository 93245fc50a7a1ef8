"""A detector's training: from its config to a model folder, on this machine or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from raynas.config import merged, nested, suggests_arguments
from raynas.detection.summary import DetectionSummary
from raynas.programs.detect.models import save_detectors
from raynas.programs.detect.prepare import PreparedDetection, prepare_detection
from raynas.programs.detect.worker import DetectionInput, build_detector_training
from raynas.programs.train.execute import Execution, TrainResult, execute
from raynas.programs.train.models import registered_name
from raynas.programs.train.prepare import field_overrides
from raynas.training.final_config import StepSummary


@suggests_arguments
def train_detector(
    what: str | None = None,
    *,
    data: str | None = None,
    weights: str | Path | None = None,
    recipe: str | None = None,
    workers: int | Literal["auto"] | None = None,
    nodes: int | None = None,
    min_workers: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    address: str | None = None,
    report: Callable[[DetectionSummary], None] = lambda _: None,
) -> TrainResult[DetectionSummary]:
    """Trains Faster R-CNN on a network's features; `raynas detect` as a function.

    Args:
        what: the folder of a training or of a trained network, whose weights the detector begins from, or a
            run's folder (its best cell), a published cell or network, or a JSON file, for random weights.
        data: a COCO folder, or Parquet files with boxes, here or at s3:// or gs:// (data.source).
        weights: begin from these weights of a classifier instead: a file, a folder, or 'timm:NAME'.
        recipe: name of a recipe of detection. Defaults to coco_mobile, or on resume to the training's own.
        workers: number of workers over all nodes, or 'auto' (workers.count).
        nodes: use all GPUs of this many nodes, instead of `workers` (workers.nodes).
        min_workers: train with this many workers when nodes are lost (workers.at_least). Defaults to all.
        epochs: full passes over the training pictures (training.epochs).
        batch_size: pictures per update, over all workers (training.batch_size).
        seed: seed of the initial weights, the order of pictures and their augmentation.
        out: the training's folder. Defaults to a new one below runs/.
        resume: continue the training in `out` from its last checkpoint.
        settings: other fields of DetectConfig, nested or dotted, such as {"detector.maps": [8, 16, 32]}.
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
    prepared = prepare_detection(
        what,
        recipe=recipe,
        out=Path(out) if out is not None else None,
        resume=resume,
        settings=merged(nested(settings or {}), arguments),
    )
    return detect_prepared(prepared, address=address, report=report)


def detect_prepared(
    training: PreparedDetection,
    *,
    address: str | None = None,
    report: Callable[[DetectionSummary], None] = lambda _: None,
    report_step: Callable[[StepSummary], None] = lambda _: None,
) -> TrainResult[DetectionSummary]:
    """Runs a prepared training to its end; arguments and errors are those of `execute`."""
    config = training.config
    execution = Execution(
        folder=training.folder,
        config=config,
        summary=DetectionSummary,
        factory=functools.partial(build_detector_training, config=config),
        given=DetectionInput.of(training),
        check_plan=training.check_plan,
        save_models=functools.partial(save_detectors, training),
        network=config.genotype.arch_id,
        genotype=config.genotype,
        registered_name=registered_name(config, "raynas-detector-"),
        command="raynas detect",
    )
    return execute(execution, address=address, report=report, report_step=report_step)
