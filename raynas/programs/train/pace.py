"""Measures how fast this machine trains a network: a few updates on noise, before a training is started."""

from __future__ import annotations

import os

import torch

from raynas.errors import InvalidConfig
from raynas.programs.train.prepare import PreparedTraining
from raynas.training.batches import NoiseBatches
from raynas.training.classification import classifier_training
from raynas.training.device import Placement, is_out_of_memory, reproducible
from raynas.training.final_config import TrainingSummary

MOST_IMAGES = {"cuda": 128, "cpu": 4}
"""Images of a measured step at most: on a CPU, more images only take longer."""
NUM_UPDATES = 2
"""Updates that are timed, after as many untimed ones, which compile, allocate and choose algorithms."""


def measured_images_per_second(training: PreparedTraining) -> float:
    """Training images per second of one worker like this machine, on its GPU if it has one; without decoding.

    Raises:
        InvalidConfig: memory runs out.
    """
    placement = Placement(
        device="cuda" if torch.cuda.is_available() else "cpu", num_threads=len(os.sched_getaffinity(0))
    )
    config, spec = training.config, training.spec
    num_images = _images_per_step(training, placement.device)
    settings = config.training.model_copy(
        # The first epoch warms up, the second one is timed.
        update={"batch_size": num_images, "accumulate": 1, "epochs": 2, "checkpoint_minutes": None}
    )
    summaries: list[TrainingSummary] = []
    try:
        with reproducible(config.seed, placement):
            source = NoiseBatches(
                num_images,
                (spec.in_channels, spec.image_size, spec.image_size),
                num_classes=spec.num_classes,
                batches_per_epoch=NUM_UPDATES,
                device=placement.device,
            )
            classifier_training(spec.build(), source, settings, placement).run(summaries.append)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise InvalidConfig(
            f"A step of {num_images} images of {training.image_size} pixels does not fit this machine's "
            "memory. Measure on another, lower training.batch_size, or give the images per second yourself."
        ) from error
    return summaries[-1].images_per_second


def _images_per_step(training: PreparedTraining, device: str) -> int:
    config, count = training.config.training, training.config.workers.count
    share = config.batch_size // config.accumulate // (count if isinstance(count, int) else 1)
    return max(min(share, MOST_IMAGES[device]), 1)
