"""How fast this machine trains a network: a few updates on noise, before anything is started."""

from __future__ import annotations

import os

import torch

from raynas.errors import InvalidConfig
from raynas.programs.train.prepared import PreparedTraining
from raynas.training import Placement
from raynas.training.device import is_out_of_memory, reproducible
from raynas.training.final import FinalTraining
from raynas.training.final_config import Summary
from raynas.training.sources import NoiseSource

MOST_IMAGES = {"cuda": 128, "cpu": 4}
"""Of a measured step: on a CPU more only take longer."""
NUM_UPDATES = 2
"""That are timed, after as many that are not: first ones compile, allocate and choose algorithms."""


def measured_images_per_second(training: PreparedTraining) -> float:
    """Of one worker of this machine's kind, on its GPU if it has one; the network alone, without decoding.

    Raises:
        InvalidConfig: memory runs out.
    """
    placement = Placement(
        device="cuda" if torch.cuda.is_available() else "cpu", num_threads=len(os.sched_getaffinity(0))
    )
    config, workers = training.config, training.config.workers
    share = config.training.batch_size // config.training.accumulate
    share //= workers.count if isinstance(workers.count, int) else 1
    num_images = max(min(share, MOST_IMAGES[placement.device]), 1)
    settings = config.training.model_copy(
        update={"batch_size": num_images, "accumulate": 1, "epochs": 2, "checkpoint_minutes": None}
    )
    summaries: list[Summary] = []
    try:
        with reproducible(config.seed, placement):
            source = NoiseSource(
                num_images,
                (training.spec.in_channels, training.image_size, training.image_size),
                num_classes=training.data.num_classes,
                batches_per_epoch=NUM_UPDATES,
                device=placement.device,
            )
            timed = FinalTraining(training.spec.build(), source, settings, placement)
            timed.run(summaries.append)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise InvalidConfig(
            f"A step of {num_images} images of {training.image_size} pixels does not fit this machine's "
            "memory. Measure on another, lower training.batch_size, or give --images-per-second."
        ) from error
    return summaries[-1].images_per_second
