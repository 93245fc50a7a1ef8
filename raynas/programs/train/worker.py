"""What each worker of a final training builds: the network and its batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from raynas.data import ImageSplit
from raynas.data.stream import (
    EvalTransform,
    GrowingBatches,
    ImageBatches,
    ImageCounts,
    ImageIndex,
    RandAugment,
    Shuffle,
    TrainTransform,
    local_batches,
)
from raynas.engine.ray_batches import ray_batches
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.prepare import PreparedTraining
from raynas.training.batches import Batches, MemoryBatches, StreamedBatches, TrainingBatch
from raynas.training.classification import classifier_training
from raynas.training.device import Placement, reproducible
from raynas.training.final import FinalTraining
from raynas.training.final_config import divisible
from raynas.training.images import DeviceImages


@dataclass(frozen=True)
class WorkerInput:
    """What Ray hands to every worker, once per node."""

    images: ImageSplit | ImageIndex | ImageCounts
    initial: Mapping[str, Tensor] | None = None
    """See PreparedTraining. As tensors, because the file may be on the driver's machine alone."""


def build_training(
    placement: Placement, given: WorkerInput, *, folder: Path, config: TrainConfig
) -> FinalTraining[TrainingBatch]:
    """What one worker trains, with the same initial weights on every worker.

    Args:
        placement: the worker's device, rank and threads.
        folder: the training's folder.
    """
    training = PreparedTraining(folder, config, given.images)
    with reproducible(config.seed, placement):
        network = training.spec.build()
    if given.initial is not None:
        # What is made anew has its seeded weights already.
        network.load_state_dict(given.initial, strict=False)
    settings = config.training
    if config.workers.at_least is not None:
        settings = divisible(settings, placement.num_ranks)
    return classifier_training(network, _batches(training, placement), settings, placement, seed=config.seed)


def _batches(training: PreparedTraining, placement: Placement) -> Batches[TrainingBatch]:
    config, data = training.config.data, training.data
    if isinstance(data, ImageSplit):
        return MemoryBatches(
            DeviceImages(data, placement.device), config.augmentation, seed=training.config.seed
        )
    # The worker's main thread trains, so one CPU is left to it.
    processes = max(placement.num_threads - 1, 1) if config.processes == "auto" else config.processes
    crop = TrainTransform(
        training.image_size,
        min_area=config.min_area,
        flip=config.augmentation.mirrors(data.class_names),
        color_jitter=config.color_jitter,
        rand_augment=RandAugment() if config.rand_augment else None,
    )
    cut = EvalTransform(training.image_size, config.crop_fraction)
    shuffle = Shuffle(training.config.seed)
    assert isinstance(data, ImageIndex) and data.validation is not None
    if config.loader == "ray":
        planned = ray_batches(data.train, crop, shuffle=shuffle, num_tasks=processes)
        validation = ray_batches(data.validation, cut, shuffle=None, num_tasks=processes)
    else:
        planned = local_batches(data.train, crop, shuffle=shuffle, num_processes=processes)
        validation = local_batches(data.validation, cut, shuffle=None, num_processes=processes)
    growth = training.growth
    train: ImageBatches = planned if growth is None else GrowingBatches(planned, crop, growth)
    return StreamedBatches(train, validation, num_classes=data.num_classes, device=placement.device)
