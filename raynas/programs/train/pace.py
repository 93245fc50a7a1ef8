"""Measures how fast this machine trains a network: a few updates on noise, before a training is started."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Protocol

import torch
from torch import nn

from raynas.config import validated
from raynas.data import ImageSplit
from raynas.errors import InvalidConfig
from raynas.programs.train.prepare import PreparedTraining
from raynas.training.batches import NoiseBatches
from raynas.training.classification import classifier_training
from raynas.training.device import Placement, is_out_of_memory, reproducible
from raynas.training.final_config import FinalConfig, TrainingSummary

MOST_IMAGES = {"cuda": 128, "cpu": 4}
"""Images of a measured step at most: on a CPU, more images only take longer."""
NUM_UPDATES = 2
"""Updates that are timed, after as many untimed ones, which compile, allocate and choose algorithms."""


EVALUATION_SHARE = 1 / 3
"""Time of an image in evaluation, as a share of its time in training: there is no backward pass."""


class Trainable(Protocol):
    """A classifier as a value, whatever it is built of."""

    @property
    def in_channels(self) -> int:
        """Channels of an image."""

    @property
    def num_classes(self) -> int:
        """Number of logits."""

    @property
    def image_size(self) -> int:
        """Pixels per side."""

    def build(self) -> nn.Module:
        """The network with random weights."""


def within_hours(training: PreparedTraining, hours: float, *, is_resumed: bool = False) -> PreparedTraining:
    """The training with as many epochs as fit into these hours at the pace that is measured here.

    Raises:
        InvalidConfig: not even one epoch fits, or the training is resumed, whose schedule has begun.
    """
    if is_resumed:
        raise InvalidConfig(
            f"hours = {hours:g} chooses the number of epochs when a training begins. Leave it out on resume."
        )
    if not (math.isfinite(hours) and hours > 0):
        raise InvalidConfig(f"hours = {hours:g} must be more than 0.")
    count = training.config.workers.count
    rate = measured_images_per_second(training) * (count if isinstance(count, int) else 1)
    validation = training.data.num_validation_images if isinstance(training.data, ImageSplit) else 0
    images = training.num_train_images + EVALUATION_SHARE * validation
    epochs = int(hours * 3600 * rate / images)
    if epochs < 1:
        least = images / rate / 3600
        raise InvalidConfig(
            f"hours = {hours:g} is too little: an epoch of {training.num_train_images:,} images takes "
            f"{least:.2g} hours at {rate:.4g} images/s. Give more, a smaller network, or fewer images."
        )
    fields = training.config.training.model_dump() | {"epochs": epochs}
    settings = validated(FinalConfig, fields, where="training")
    return replace(training, config=training.config.model_copy(update={"training": settings}))


def measured_images_per_second(training: PreparedTraining) -> float:
    """Training images per second of one worker like this machine, on its GPU if it has one; without decoding.

    Raises:
        InvalidConfig: memory runs out.
    """
    placement = Placement(
        device="cuda" if torch.cuda.is_available() else "cpu", num_threads=len(os.sched_getaffinity(0))
    )
    config = training.config
    num_images = _images_per_step(training, placement.device)
    try:
        return images_per_second(
            training.spec, config.training, placement, num_images=num_images, seed=config.seed
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise InvalidConfig(
            f"A step of {num_images} images of {training.image_size} pixels does not fit this machine's "
            "memory. Measure on another, lower training.batch_size, or give the images per second yourself."
        ) from error


def images_per_second(
    network: Trainable, settings: FinalConfig, placement: Placement, *, num_images: int, seed: int = 0
) -> float:
    """Training images per second of one process, in updates of `num_images` images of noise.

    Raises:
        RuntimeError, MemoryError: memory runs out.
    """
    settings = settings.model_copy(
        # The first epoch warms up, the second one is timed.
        update={"batch_size": num_images, "accumulate": 1, "epochs": 2, "checkpoint_minutes": None}
    )
    summaries: list[TrainingSummary] = []
    with reproducible(seed, placement):
        source = NoiseBatches(
            num_images,
            (network.in_channels, network.image_size, network.image_size),
            num_classes=network.num_classes,
            batches_per_epoch=NUM_UPDATES,
            device=placement.device,
        )
        classifier_training(network.build(), source, settings, placement).run(summaries.append)
    return summaries[-1].images_per_second


def _images_per_step(training: PreparedTraining, device: str) -> int:
    config, count = training.config.training, training.config.workers.count
    share = config.batch_size // config.accumulate // (count if isinstance(count, int) else 1)
    return max(min(share, MOST_IMAGES[device]), 1)
