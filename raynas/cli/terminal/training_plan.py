"""The lines of a plan that the trainings of classifiers and of detectors share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from raynas.engine.final_checkpoints import has_checkpoint
from raynas.programs.train.config import BaseTrainConfig
from raynas.programs.train.curve import read_curve
from raynas.training.optimizer_config import ScheduleConfig


def schedule_text(schedule: ScheduleConfig) -> str:
    """The schedule of the learning rate in words."""
    text: str = schedule.name
    if text == "exponential":
        text += f", times {schedule.decay_rate:g} every {schedule.decay_epochs:g} epochs"
    if schedule.warmup_epochs:
        text += f" after {schedule.warmup_epochs:g} epochs of warm-up"
    return text


def where_lines(folder: Path, config: BaseTrainConfig, *, is_resumed: bool) -> Iterator[str]:
    """On which workers, where, and how far a resumed training is."""
    workers, training = config.workers, config.training
    count = f"all GPUs of {workers.nodes} nodes" if workers.nodes is not None else str(workers.count)
    fewest = f", at least {workers.at_least}" if workers.at_least is not None else ""
    times = [
        f", {training.checkpoint_steps:,} updates" if training.checkpoint_steps else "",
        f", {training.checkpoint_minutes:g} minutes" if training.checkpoint_minutes else "",
    ]
    yield f"workers: {count}{fewest}; checkpoints after each epoch{''.join(times)}; folder: {folder}"
    if is_resumed:
        curve = read_curve(folder, config.summary)
        done = f"{len(curve)} of {training.epochs} epochs are done"
        yield "resumed: " + (
            done if has_checkpoint(folder) else "there is no checkpoint yet, so it starts from the beginning"
        )
        if has_checkpoint(folder) and len(curve) < training.epochs:
            factor = training.schedule.factor(len(curve), training.epochs)
            rate = factor * training.optimizer.rate(training.batch_size)
            yield (
                f"learning rate: from epoch {len(curve) + 1} on that of a training of {training.epochs} "
                f"epochs, first {rate:.4g}"
            )
