"""The plan that `raynas train` prints before it starts, and the estimate of its duration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raynas.cli.terminal.quantities import short_count
from raynas.cli.terminal.training_plan import schedule_text, where_lines
from raynas.data import ImageSplit
from raynas.errors import UsageError
from raynas.programs.train.data import IMAGENET
from raynas.programs.train.pace import measured_images_per_second
from raynas.programs.train.prepare import PreparedTraining
from raynas.programs.train.start import described

MIN_NORM_TIME_CONSTANTS = 5.0
"""Number of time constants (1 / momentum updates each) after which running statistics have settled."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one worker trains.

    Attributes:
        given: images per second, as the user gave it.
        is_measured: whether to measure it on this machine instead.
    """

    given: float | None = None
    is_measured: bool = False

    def of(self, training: PreparedTraining) -> float | None:
        """Images per second of one worker; None means unknown."""
        if self.given is not None and self.is_measured:
            raise UsageError("--images-per-second and --measure both determine the speed. Give one of them.")
        return measured_images_per_second(training) if self.is_measured else self.given


def plan_lines(
    training: PreparedTraining, images_per_second: float | None = None, *, is_resumed: bool = False
) -> list[str]:
    """What will be trained, how and where, in lines of text.

    Args:
        images_per_second: speed of one worker; None leaves out the estimate of the duration.
        is_resumed: whether the training continues in its folder.
    """
    return [
        *_what(training),
        *_how(training),
        *where_lines(training.folder, training.config, is_resumed=is_resumed),
        *_notes(training),
        *([_time(training, images_per_second)] if images_per_second is not None else []),
    ]


def _what(training: PreparedTraining) -> Iterator[str]:
    config, cost = training.config, training.spec.complexity()
    yield f"raynas train: {config.cell}, recipe {config.recipe}, seed {config.seed}"
    yield (
        f"network: {short_count(cost.parameters)} parameters, {short_count(cost.mult_adds)} multiply-adds "
        f"(without the auxiliary head), {training.image_size} pixels, {training.data.num_classes} classes"
    )
    source = config.data.source if training.data is not IMAGENET else "none given, planned for ImageNet-1k"
    yield (
        f"data: {source}, {training.num_train_images:,} training images, "
        f"{'streamed' if config.data.streamed else 'in memory'}"
    )
    yield from training.data.described()
    if config.weights is not None:
        yield f"weights: from {described(config.weights)}"
    yield _augmentation(training)
    if (growth := training.growth) is not None:
        stages = ", ".join(f"{size} pixels for {epochs}" for size, epochs in growth.stages)
        yield f"training images: {stages} epochs"


def _augmentation(training: PreparedTraining) -> str:
    config, data = training.config.data, training.data
    if isinstance(data, ImageSplit):
        return config.augmentation.described(data)
    jitter = f", colour jitter {config.color_jitter:g}" if config.color_jitter else ""
    return (
        f"augmentation: random crop of at least {config.min_area:g} of the area, "
        f"{config.augmentation.mirroring(data.class_names)}{jitter}{', RandAugment' * config.rand_augment}"
    )


def _how(training: PreparedTraining) -> Iterator[str]:
    config, network = training.config.training, training.config.network
    optimizer, updates = config.optimizer, _updates_per_epoch(training)
    steps = f" in {config.accumulate} steps" if config.accumulate > 1 else ""
    yield (
        f"training: {config.epochs} epochs of {updates:,} updates, {config.epochs * updates:,} in total; "
        f"{config.batch_size} images each{steps}"
    )
    yield (
        f"optimiser: {optimizer.name}, learning rate at most {optimizer.rate(config.batch_size):g}, "
        f"{schedule_text(config.schedule)}; weight decay {optimizer.weight_decay:g}"
    )
    facts = [
        f"label smoothing {config.label_smoothing:g}" if config.label_smoothing else "",
        f"auxiliary loss {config.auxiliary_weight:g}" if network.auxiliary_head else "",
        f"dropout {network.dropout:g}" if network.dropout else "",
        f"drop path {network.drop_path:g}" if network.drop_path else "",
        f"gradient norm at most {config.gradient_clip:g}" if config.gradient_clip else "",
        f"moving average {config.average_decay:g}" if config.average_decay else "",
        "batch norm across all workers" if config.sync_norm else "batch norm per worker",
        "bfloat16 on GPUs that have it" if config.precision == "auto" else config.precision,
    ]
    yield f"with: {', '.join(fact for fact in facts if fact)}"


def _notes(training: PreparedTraining) -> Iterator[str]:
    num_updates = training.config.training.epochs * _updates_per_epoch(training)
    momentum = training.config.network.conventions.norm_momentum
    if momentum < 0.1 and num_updates * momentum < MIN_NORM_TIME_CONSTANTS:
        yield (
            f"note: network.conventions.norm_momentum = {momentum:g} is for longer trainings. In "
            f"{num_updates:,} updates the statistics of batch norm don't settle, and accuracies stay near "
            "chance. Set it to 0.1."
        )


def _time(training: PreparedTraining, images_per_second: float) -> str:
    total, growth = training.config.training.epochs * training.num_train_images, training.growth
    hours = total * (growth.share if growth else 1.0) / images_per_second / 3600
    count = training.config.workers.count
    together = f", {hours / count:,.1f} hours on {count} workers" if isinstance(count, int) else ""
    smaller = (
        f" of {training.image_size} pixels, smaller ones in proportion to their pixels" if growth else ""
    )
    return (
        f"time: {hours:,.1f} GPU hours (worker hours if workers have no GPU){together}, for {total:,} "
        f"images at {images_per_second:.4g} images/s per worker{smaller}; without validation"
    )


def _updates_per_epoch(training: PreparedTraining) -> int:
    return training.num_train_images // training.config.training.batch_size
