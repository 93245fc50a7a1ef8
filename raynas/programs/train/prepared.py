"""What is trained: config and data together, and how a worker makes its network and its batches of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from raynas.cells.genotype import Genotype
from raynas.data import ImageSplit
from raynas.data.stream import (
    BatchSource,
    EvalTransform,
    GrowingBatches,
    Growth,
    ImageIndex,
    RandAugment,
    Shuffle,
    TrainTransform,
    local_batches,
)
from raynas.engine.ray_batches import ray_batches
from raynas.errors import InvalidConfig
from raynas.nn import NetworkSpec
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.data import DEFAULT_IMAGE_SIZE
from raynas.training import DeviceImages, Placement
from raynas.training.device import reproducible
from raynas.training.final import FinalTraining
from raynas.training.final_config import divisible
from raynas.training.sources import MemorySource, StreamSource, TrainingSource


@dataclass(frozen=True)
class PreparedTraining:
    """A training of which everything is known and nothing is started."""

    folder: Path
    config: TrainConfig
    data: ImageSplit | ImageIndex

    @property
    def image_size(self) -> int:
        if isinstance(self.data, ImageSplit):
            return self.data.image_size
        return self.config.data.image_size or DEFAULT_IMAGE_SIZE

    @property
    def growth(self) -> Growth | None:
        """None: training images are of image_size pixels throughout."""
        first, epochs = self.config.data.first_image_size, self.config.training.epochs
        return Growth(first, self.image_size, self.config.data.size_stages, epochs) if first else None

    @property
    def num_train_images(self) -> int:
        if isinstance(self.data, ImageSplit):
            return len(self.data.train_labels_N)
        return self.data.train.num_images

    @property
    def spec(self) -> NetworkSpec:
        """The network that is trained."""
        genotype = Genotype.from_dict(self.config.genotype)
        in_channels = self.data.num_channels if isinstance(self.data, ImageSplit) else 3
        return NetworkSpec(genotype, self.config.network, in_channels, self.data.num_classes, self.image_size)

    def check(self) -> None:
        """InvalidConfig if images are too few, too small for the network, or can't grow as asked."""
        self.spec.complexity()
        if self.num_train_images < self.config.training.batch_size:
            raise InvalidConfig(
                f"training.batch_size = {self.config.training.batch_size} is more than the "
                f"{self.num_train_images:,} training images of {self.config.data.source}. Give a smaller one."
            )
        first = self.config.data.first_image_size
        if first is None:
            return
        if not self.config.data.streamed:
            raise InvalidConfig(
                f"data.first_image_size = {first}: only streamed images grow. Leave it out, or set "
                "data.streamed=true."
            )
        if first > self.image_size:
            raise InvalidConfig(
                f"data.first_image_size = {first} is more than data.image_size = {self.image_size}, to which "
                "images grow. Give at most that, or null for no growth."
            )
        replace(self.spec, image_size=first).complexity()


def build_training(
    placement: Placement, data: ImageSplit | ImageIndex, *, folder: Path, config: TrainConfig
) -> FinalTraining:
    """What a worker trains."""
    training = PreparedTraining(folder, config, data)
    with reproducible(config.seed, placement):
        network = training.spec.build()
    settings = config.training
    if config.workers.at_least is not None:
        settings = divisible(settings, placement.num_ranks)
    return FinalTraining(network, _source(training, placement), settings, placement, seed=config.seed)


def _source(training: PreparedTraining, placement: Placement) -> TrainingSource:
    config, data = training.config.data, training.data
    if isinstance(data, ImageSplit):
        return MemorySource(
            DeviceImages(data, placement.device), config.augmentation, seed=training.config.seed
        )
    processes = max(placement.num_threads - 1, 1) if config.processes == "auto" else config.processes
    crop = TrainTransform(
        training.image_size,
        min_area=config.min_area,
        color_jitter=config.color_jitter,
        rand_augment=RandAugment() if config.rand_augment else None,
    )
    cut = EvalTransform(training.image_size, config.crop_fraction)
    shuffle = Shuffle(training.config.seed)
    assert data.validation is not None
    if config.loader == "ray":
        planned = ray_batches(data.train, crop, shuffle=shuffle, num_tasks=processes)
        validation = ray_batches(data.validation, cut, shuffle=None, num_tasks=processes)
    else:
        planned = local_batches(data.train, crop, shuffle=shuffle, num_processes=processes)
        validation = local_batches(data.validation, cut, shuffle=None, num_processes=processes)
    growth = training.growth
    train: BatchSource = planned if growth is None else GrowingBatches(planned, crop, growth)
    return StreamSource(train, validation, num_classes=data.num_classes, device=placement.device)
