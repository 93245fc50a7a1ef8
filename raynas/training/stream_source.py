"""Final training's batches from a data set larger than memory: raynas.data.stream, on the training device."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from raynas.data.stream import BatchSource
from raynas.training.sources import Batch

IMAGENET_MEAN_C = (0.5, 0.5, 0.5)
IMAGENET_STD_C = (0.5, 0.5, 0.5)
"""To [-1, 1], as Inception's and NASNet's code scales pixels."""


class StreamSource:
    """A TrainingSource of two splits. A position is a number of images, over all ranks."""

    def __init__(self, train: BatchSource, validation: BatchSource, *, num_classes: int, device: str) -> None:
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
