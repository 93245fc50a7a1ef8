"""`raynas detect`: prints the plan, a line per epoch, and the result."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from raynas.cli.terminal.coco_numbers import class_lines, measured
from raynas.cli.terminal.commands import program, resume_training
from raynas.cli.terminal.quantities import short_count
from raynas.cli.terminal.train import TrainingProgress, resumable
from raynas.cli.terminal.training_plan import schedule_text, where_lines
from raynas.detection.complexity import detector_complexity
from raynas.detection.data import DetectionSet
from raynas.detection.evaluation import NUMBERS
from raynas.detection.summary import DetectionSummary
from raynas.programs.detect.detect import detect_prepared
from raynas.programs.detect.prepare import PreparedDetection, prepare_detection
from raynas.programs.train.execute import TrainResult
from raynas.programs.train.start import described


def run_detect(
    what: str | None,
    *,
    recipe: str | None,
    settings: Mapping[str, Any],
    out: Path | None,
    resume: bool,
    is_dry: bool,
    pictures_per_second: float | None,
    address: str | None,
    console: Console,
) -> None:
    """Prints the plan of a detector's training and, unless `is_dry`, carries it out.

    Args:
        pictures_per_second: how fast a worker is, for the duration in the plan.
    Raises:
        UsageError: the cell, the data or a setting can't be used.
        TrainingFailed: the training diverged or could not continue.
    """
    prepared = prepare_detection(what, recipe=recipe, out=out, resume=resume, settings=settings)
    prepared.check_gpus(address)
    for line in detection_plan(prepared, pictures_per_second, is_resumed=resume):
        console.print(line)
    if is_dry:
        return
    epochs = prepared.config.training.epochs
    progress = TrainingProgress(epochs, console, _precisions, unit="pictures")
    with resumable(resume_training(prepared.folder, "detect"), console):
        result = detect_prepared(
            prepared, address=address, report=progress.epoch_done, report_step=progress.step_done
        )
    console.print("\n".join(detection_result(result)))


def detection_plan(
    training: PreparedDetection, pictures_per_second: float | None = None, *, is_resumed: bool = False
) -> list[str]:
    """What will be trained, how and where, in lines of text."""
    return [
        *_what(training),
        *_data(training),
        *_how(training),
        *where_lines(training.folder, training.config, is_resumed=is_resumed),
        *([_time(training, pictures_per_second)] if pictures_per_second is not None else []),
    ]


def _what(training: PreparedDetection) -> Iterator[str]:
    config, plan = training.config, training.plan
    detector = plan.config
    shorter, longest = detector.sides[-1], detector.longest_side
    size = (shorter, shorter) if detector.stretch else (shorter, min(round(shorter * 4 / 3), longest))
    cost = detector_complexity(plan, size)
    yield f"raynas detect: {config.cell}, recipe {config.recipe}, seed {config.seed}"
    yield (
        f"detector: {short_count(cost.total.parameters)} parameters, of which the network has "
        f"{short_count(cost.backbone.parameters)}; {short_count(cost.total.mult_adds)} multiply-adds for a "
        f"picture of {size[0]} x {size[1]} pixels"
    )
    form = (
        f"the maps of strides {', '.join(str(one.stride) for one in plan.maps)} and a pyramid of "
        f"{detector.fpn_channels} channels"
        if detector.head == "fpn"
        else f"one map of stride {plan.maps[0].stride}, and the last cells for each proposal"
    )
    sides = ", ".join(map(str, detector.sides))
    scaled = "squares of" if detector.stretch else "shorter sides of"
    yield f"form: {form}; {scaled} {sides} pixels, the longer at most {longest}"
    begins = "random weights" if config.weights is None else described(config.weights)
    yield f"weights: {begins}"


def _data(training: PreparedDetection) -> Iterator[str]:
    data = training.data
    assert data.validation is not None
    num_boxes = len(training.chosen.split.boxes)
    yield (
        f"data: {training.config.data.source}, {len(data.classes)} classes; {len(training.chosen.numbers):,} "
        f"training pictures with {num_boxes:,} boxes, {data.validation.num_pictures:,} validation pictures "
        f"with {_objects(data.validation):,}"
    )
    mirrored = "mirrored at random" if training.config.data.flip else "not mirrored"
    yield f"training pictures: {mirrored}, their size drawn from the sides above"


def _objects(split: DetectionSet) -> int:
    return int((~split.boxes.is_crowd_N).sum())


def _how(training: PreparedDetection) -> Iterator[str]:
    config, workers = training.config.training, training.config.workers
    updates = _updates_per_epoch(training)
    optimizer = config.optimizer
    yield (
        f"training: {config.epochs} epochs of {updates:,} updates, {config.epochs * updates:,} in total; "
        f"{config.batch_size} pictures each"
    )
    yield (
        f"optimiser: {optimizer.name}, learning rate at most {optimizer.rate(config.batch_size):g}, "
        f"{schedule_text(config.schedule)}; weight decay {optimizer.weight_decay:g}"
    )
    count = workers.count if isinstance(workers.count, int) else workers.at_least or 1
    frozen = training.plan.config.frozen_stride
    kept = f"; stem and cells up to stride {frozen} keep their weights" if frozen else ""
    yield f"batch norm: {training.norm(count, uses_gpus=True)} (with {count} worker{'s' * (count > 1)}){kept}"


def _time(training: PreparedDetection, pictures_per_second: float) -> str:
    total = training.config.training.epochs * len(training.chosen.numbers)
    hours = total / pictures_per_second / 3600
    count = training.config.workers.count
    together = f", {hours / count:,.1f} hours on {count} workers" if isinstance(count, int) else ""
    return (
        f"time: {hours:,.1f} GPU hours (worker hours if workers have no GPU){together}, for {total:,} "
        f"pictures at {pictures_per_second:.4g} pictures/s per worker; without validation"
    )


def _updates_per_epoch(training: PreparedDetection) -> int:
    return len(training.chosen.numbers) // training.config.training.batch_size


def detection_result(result: TrainResult[DetectionSummary]) -> list[str]:
    """COCO's numbers and the classes', what was written, and the next command."""
    last, best = result.summaries[-1], max(result.summaries, key=lambda summary: summary.ap)
    numbers = last.model_dump()
    lines = [
        f"\nDone: AP {last.ap:.4f}, best {best.ap:.4f} after epoch {best.epoch}.",
        "  ".join(f"{name} {measured(numbers[name])}" for name in NUMBERS),
        *class_lines(last.ap_of_classes),
        f"Trained detector: {result.model}, best epoch: {result.best}",
    ]
    if result.registered is not None:
        lines.append(f"Registered in MLflow: {result.registered}")
    return [*lines, f"Export it:\n  {program()} export {shlex.quote(str(result.folder))}"]


def _precisions(summary: DetectionSummary) -> str:
    return f"ap={measured(summary.ap)} ap50={measured(summary.ap50)} ap75={measured(summary.ap75)}"
