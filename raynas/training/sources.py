"""Where final training gets its batches from: the interface, a data set that lies in memory, and noise."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from raynas.data.stream import ImageBatches
from raynas.training.images import AugmentationConfig, DeviceImages

IMAGENET_MEAN_C = (0.5, 0.5, 0.5)
IMAGENET_STD_C = (0.5, 0.5, 0.5)
"""To [-1, 1], as Inception's and NASNet's code scales pixels."""


class Batch(NamedTuple):
    """Normalised images and their classes, on the device of training."""

    images_NCHW: Tensor
    labels_N: Tensor
    position: int
    """Where an interrupted epoch goes on after this batch; the source's own unit, equal on every rank."""


class TrainingSource(Protocol):
    """Images in batches. The order depends on the seed and the epoch, not on the number of ranks."""

    num_classes: int

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        """Batches of `batch_size` that each rank gets in an epoch."""

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[Batch]:
        """One rank's batches of an epoch, or what is left of it after position `start`."""

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[Batch]:
        """Each validation image on one of the ranks."""


class MemorySource:
    """A DeviceImages: small data sets, such as CIFAR-10. A position is a number of images."""

    def __init__(self, images: DeviceImages, augmentation: AugmentationConfig, *, seed: int) -> None:
        self.images, self.augmentation, self.seed = images, augmentation, seed
        self.num_classes = images.split.num_classes

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return len(self.images.train_labels_N) // (batch_size * num_ranks)

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[Batch]:
        order_N = torch.randperm(len(self.images.train_labels_N), generator=self._generator(epoch))
        step = batch_size * num_ranks
        for position in range(start, len(order_N) - step + 1, step):
            # Every rank draws for the whole batch, so that an image's augmentation is its own.
            images_NCHW, labels_N = self.images.batch(
                order_N[position : position + step], self.augmentation, self._generator(epoch, position)
            )
            yield Batch(images_NCHW[rank::num_ranks], labels_N[rank::num_ranks], position + step)

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[Batch]:
        batches = self.images.validation_batches(batch_size, rank=rank, num_ranks=num_ranks)
        for images_NCHW, labels_N in batches:
            yield Batch(images_NCHW, labels_N, 0)

    def _generator(self, *numbers: int) -> torch.Generator:
        text = "/".join(map(str, (self.seed, *numbers)))
        return torch.Generator().manual_seed(int(hashlib.sha256(text.encode()).hexdigest()[:15], 16))


class NoiseSource:
    """One batch of noise, again and again, and nothing to validate: to measure how fast a network trains."""

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
        self._batch = Batch(images_NCHW.to(memory_format=torch.channels_last), labels_N, batch_size)
        self.num_classes, self._batches_per_epoch = num_classes, batches_per_epoch

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return self._batches_per_epoch

    def train_batches(self, epoch: int, batch_size: int, **_: int) -> Iterator[Batch]:
        for _index in range(self._batches_per_epoch):
            yield self._batch

    def validation_batches(self, batch_size: int, **_: int) -> Iterator[Batch]:
        return iter(())


class StreamSource:
    """A TrainingSource of two splits. A position is a number of images, over all ranks."""

    def __init__(
        self, train: ImageBatches, validation: ImageBatches, *, num_classes: int, device: str
    ) -> None:
        self.train, self.validation, self.num_classes, self.device = train, validation, num_classes, device
        scale = 255.0 * torch.tensor(IMAGENET_STD_C, device=device)
        self._scale_C11 = (1.0 / scale)[:, None, None]
        shift = torch.tensor(IMAGENET_MEAN_C, device=device) / torch.tensor(IMAGENET_STD_C, device=device)
        self._shift_C11 = shift[:, None, None]

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return self.train.num_batches(batch_size=batch_size, num_ranks=num_ranks)

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[Batch]:
        for batch in self.train.batches(
            epoch=epoch, batch_size=batch_size, rank=rank, num_ranks=num_ranks, start=start
        ):
            images_NCHW, labels_N = self._placed(batch.images_NCHW, batch.labels_N)
            yield Batch(images_NCHW, labels_N, batch.position)

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[Batch]:
        for batch in self.validation.batches(epoch=0, batch_size=batch_size, rank=rank, num_ranks=num_ranks):
            images_NCHW, labels_N = self._placed(batch.images_NCHW, batch.labels_N)
            yield Batch(images_NCHW, labels_N, batch.position)

    def _placed(self, images_NCHW: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
        """On the device, as bytes until there."""
        pixels_NCHW = images_NCHW.to(self.device, non_blocking=True).float()
        return pixels_NCHW * self._scale_C11 - self._shift_C11, labels_N.to(self.device, non_blocking=True)
