"""A decoded data set on a device, cut into batches.

Shapes: N images, H x W pixels, C channels. Pixels stay uint8 until their batch is made.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from raynas.training.augment import cutout, random_crop, random_flip
from raynas.training.config import AugmentationConfig

if TYPE_CHECKING:
    from raynas.data import ImageSplit


class DeviceImages:
    """An ImageSplit on one device. On a CPU the tensors share the arrays' memory."""

    def __init__(self, split: ImageSplit, device: str = "cpu") -> None:
        self.split = split
        self.device = device
        self.train_images_NHWC = _tensor(split.train_images_NHWC, device)
        self.train_labels_N = _tensor(split.train_labels_N, device)
        self.validation_images_NHWC = _tensor(split.validation_images_NHWC, device)
        self.validation_labels_N = _tensor(split.validation_labels_N, device)
        # (pixel / 255 - mean) / std as one multiplication and one subtraction.
        self._scale_C = 1.0 / (255.0 * torch.tensor(split.std_C, device=device))
        self._shift_C = torch.tensor(split.mean_C, device=device) / torch.tensor(split.std_C, device=device)

    def num_steps(self, batch_size: int) -> int:
        """Training batches per epoch; an incomplete last batch is left out."""
        return max(len(self.train_labels_N) // batch_size, 1)

    def train_batches(
        self,
        batch_size: int,
        augmentation: AugmentationConfig,
        generator: torch.Generator,
        *,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (images_NCHW, labels_N) in random order.

        Every rank must pass a generator in the same state: it draws for the whole batch, and takes every
        num_ranks-th image of it.
        """
        order_N = torch.randperm(len(self.train_labels_N), generator=generator)
        for step in range(self.num_steps(batch_size)):
            # The whole batch is augmented on every rank, so that an image's augmentation doesn't depend on
            # the number of ranks.
            chosen_N = order_N[step * batch_size : (step + 1) * batch_size]
            images_NCHW, labels_N = self.batch(chosen_N, augmentation, generator)
            yield images_NCHW[rank::num_ranks], labels_N[rank::num_ranks]

    def batch(
        self, chosen_N: Tensor, augmentation: AugmentationConfig, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The training images with these indices, augmented, as (images_NCHW, labels_N)."""
        chosen_N = chosen_N.to(self.device)
        images_NHWC = self._normalised(self.train_images_NHWC[chosen_N])
        images_NHWC = self._augmented(images_NHWC, augmentation, generator)
        return images_NHWC.permute(0, 3, 1, 2), self.train_labels_N[chosen_N]

    def validation_batches(
        self, batch_size: int, *, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """(images_NCHW, labels_N) of this rank's share of the validation set; the last batch may be
        smaller.
        """
        # Every image is on one rank exactly, so that the sum over the ranks counts each once.
        pixels_NHWC = self.validation_images_NHWC[rank::num_ranks]
        labels_N = self.validation_labels_N[rank::num_ranks]
        for start in range(0, len(labels_N), batch_size):
            images_NHWC = self._normalised(pixels_NHWC[start : start + batch_size])
            yield images_NHWC.permute(0, 3, 1, 2), labels_N[start : start + batch_size]

    def _normalised(self, images_NHWC: Tensor) -> Tensor:
        return images_NHWC.float() * self._scale_C - self._shift_C

    def _augmented(
        self, images_NHWC: Tensor, augmentation: AugmentationConfig, generator: torch.Generator
    ) -> Tensor:
        # Cutout comes last, so that no crop moves a part of the square out of the image.
        if padding := augmentation.padding(self.split.image_size):
            images_NHWC = random_crop(images_NHWC, padding, generator)
        if augmentation.mirrors(self.split.class_names):
            images_NHWC = random_flip(images_NHWC, generator)
        if size := augmentation.cutout_size(self.split.image_size):
            images_NHWC = cutout(images_NHWC, size, generator)
        return images_NHWC


def _tensor(array: Any, device: str) -> Tensor:
    with warnings.catch_warnings():
        # The arrays are read-only in shared memory, and nothing here writes to the tensors.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
