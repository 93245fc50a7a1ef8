"""The batches of final training: of a data set in memory, streamed from disk, or of noise."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from raynas.data.stream import ImageBatches
from raynas.training.config import AugmentationConfig
from raynas.training.device import hashed_seed
from raynas.training.images import DeviceImages

IMAGENET_MEAN_C = (0.5, 0.5, 0.5)
IMAGENET_STD_C = (0.5, 0.5, 0.5)
"""Scale pixels to [-1, 1], as the code of Inception and NASNet does."""


class TrainingBatch(NamedTuple):
    """Normalised images and their classes, on the device of training."""

    images_NCHW: Tensor
    labels_N: Tensor
    position: int
    """See Positioned."""


class Positioned(Protocol):
    """A batch of any task."""

    @property
    def position(self) -> int:
        """The `start` that continues the epoch after this batch, in a unit of the batches' own; equal on all
        ranks.
        """


Batch = TypeVar("Batch", bound=Positioned, covariant=True)


class Batches(Protocol[Batch]):
    """Training and validation images in batches. Their order depends on the seed and the epoch, and not on
    the number of ranks.
    """

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        """Number of batches of `batch_size` images that each rank gets in an epoch."""

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[Batch]:
        """One rank's batches of an epoch from position `start`."""

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[Batch]:
        """One rank's validation batches; each image is on exactly one rank."""


class MemoryBatches:
    """Batches of a small data set on the device, such as CIFAR-10. A position is a number of images."""

    def __init__(self, images: DeviceImages, augmentation: AugmentationConfig, *, seed: int) -> None:
        self.images = images
        self.augmentation = augmentation
        self.seed = seed
        self.num_classes = images.split.num_classes

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return len(self.images.train_labels_N) // (batch_size * num_ranks)

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[TrainingBatch]:
        order_N = torch.randperm(len(self.images.train_labels_N), generator=self._generator(epoch))
        step = batch_size * num_ranks
        # The order is drawn anew and in full for each call: a position alone is enough to go on in the middle
        # of an epoch.
        for position in range(start, len(order_N) - step + 1, step):
            # Every rank augments the whole batch, so that an image's augmentation doesn't depend on how the
            # batch is divided. It is seeded by the position, for an epoch that goes on from here.
            images_NCHW, labels_N = self.images.batch(
                order_N[position : position + step], self.augmentation, self._generator(epoch, position)
            )
            yield TrainingBatch(images_NCHW[rank::num_ranks], labels_N[rank::num_ranks], position + step)

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[TrainingBatch]:
        batches = self.images.validation_batches(batch_size, rank=rank, num_ranks=num_ranks)
        for images_NCHW, labels_N in batches:
            yield TrainingBatch(images_NCHW, labels_N, 0)

    def _generator(self, *numbers: int) -> torch.Generator:
        return torch.Generator().manual_seed(hashed_seed(self.seed, *numbers))


class NoiseBatches:
    """Repeats one batch of noise, without validation, to measure how fast a network trains."""

    def __init__(
        self,
        batch_size: int,
        shape_CHW: tuple[int, int, int],
        *,
        num_classes: int,
        batches_per_epoch: int,
        device: str = "cpu",
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        images_NCHW = torch.randn(batch_size, *shape_CHW, generator=generator).to(device)
        labels_N = torch.randint(num_classes, (batch_size,), generator=generator).to(device)
        self._batch = TrainingBatch(images_NCHW.to(memory_format=torch.channels_last), labels_N, batch_size)
        self.num_classes = num_classes
        self._batches_per_epoch = batches_per_epoch

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return self._batches_per_epoch

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[TrainingBatch]:
        for _ in range(self._batches_per_epoch):
            yield self._batch

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[TrainingBatch]:
        return iter(())


class StreamedBatches:
    """Batches of images that are decoded as training goes on. A position is a number of images of all
    ranks.
    """

    def __init__(
        self, train: ImageBatches, validation: ImageBatches, *, num_classes: int, device: str
    ) -> None:
        self.train = train
        self.validation = validation
        self.num_classes = num_classes
        self.device = device
        scale = 255.0 * torch.tensor(IMAGENET_STD_C, device=device)
        self._scale_C11 = (1.0 / scale)[:, None, None]
        shift = torch.tensor(IMAGENET_MEAN_C, device=device) / torch.tensor(IMAGENET_STD_C, device=device)
        self._shift_C11 = shift[:, None, None]

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return self.train.num_batches(batch_size=batch_size, num_ranks=num_ranks)

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[TrainingBatch]:
        for batch in self.train.batches(
            epoch=epoch, batch_size=batch_size, rank=rank, num_ranks=num_ranks, start=start
        ):
            images_NCHW, labels_N = self._normalised(batch.images_NCHW, batch.labels_N)
            yield TrainingBatch(images_NCHW, labels_N, batch.position)

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[TrainingBatch]:
        for batch in self.validation.batches(epoch=0, batch_size=batch_size, rank=rank, num_ranks=num_ranks):
            images_NCHW, labels_N = self._normalised(batch.images_NCHW, batch.labels_N)
            yield TrainingBatch(images_NCHW, labels_N, batch.position)

    def _normalised(self, images_NCHW: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
        """Copies a batch to the device as bytes, a quarter of the size of floats, and normalises it there."""
        # non_blocking returns before the copy from pinned memory is done; what follows on the GPU waits for
        # it there.
        pixels_NCHW = images_NCHW.to(self.device, non_blocking=True).float()
        return pixels_NCHW * self._scale_C11 - self._shift_C11, labels_N.to(self.device, non_blocking=True)
