"""Looks at the first images as a network gets them, so that nobody trains for hours on nothing."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import logging

import torch
from torch import Tensor

from raynas.data import ImageSplit
from raynas.errors import DataError
from raynas.training.config import AugmentationConfig
from raynas.training.images import DeviceImages

logger = logging.getLogger(__name__)

ENOUGH_IMAGES = 16
"""Number of images of one class, or of equal images, that is hardly ever chance."""


class FirstImages:
    """Checks the first images of a training, over one or several batches."""

    def __init__(self) -> None:
        self._first_CHW: Tensor | None = None
        self._are_equal = True
        self._classes: set[int] = set()
        self._num_images = 0

    def look(self, images_NCHW: Tensor, labels_N: Tensor) -> None:
        """Takes a normalised and augmented batch; does nothing once enough images were seen.

        A single class is logged as a warning.

        Raises:
            DataError: the pixels are not finite, all zero, or the same in all images.
        """
        # Called at every step: after the first batches it returns at once, and no GPU waits for the host.
        if self._num_images >= ENOUGH_IMAGES or not len(labels_N):
            return
        _check_pixels(images_NCHW)
        if self._first_CHW is None:
            # A copy: a view would keep the whole batch in memory.
            self._first_CHW = images_NCHW[0].clone()
        self._are_equal = self._are_equal and bool((images_NCHW == self._first_CHW).all())
        self._classes.update(labels_N.tolist())
        self._num_images += len(labels_N)
        if self._num_images >= ENOUGH_IMAGES:
            self._judge()

    def _judge(self) -> None:
        if self._are_equal:
            raise DataError(
                f"The first {self._num_images} training images are all the same as the network gets them, so "
                "there is nothing to learn. Look at the image files and at the settings of augmentation."
            )
        if len(self._classes) == 1:
            logger.warning(
                "The first %d training images are all of class %d. Unless nearly all images are of that "
                "class, the labels are wrong or the images are not mixed.",
                self._num_images,
                *self._classes,
            )


def check_first_images(split: ImageSplit, augmentation: AugmentationConfig, *, seed: int) -> None:
    """Checks some images of a split before any worker starts; raises what `FirstImages.look` raises."""
    generator = torch.Generator().manual_seed(seed)
    chosen_N = torch.randperm(len(split.train_labels_N), generator=generator)[: 2 * ENOUGH_IMAGES]
    FirstImages().look(*DeviceImages(split).batch(chosen_N, augmentation, generator))


def _check_pixels(images_NCHW: Tensor) -> None:
    if not bool(images_NCHW.isfinite().all()):
        raise DataError(
            "The first training images have pixels that are not finite numbers. Look at the image files, and "
            "at the mean and deviation that they are normalised with."
        )
    if not bool(images_NCHW.any()):
        size = images_NCHW.shape[-1]
        raise DataError(
            f"The first training images, of {size}x{size} pixels, are all zero as the network gets them, so "
            "there is nothing to learn. Either the images are of a single colour, or augmentation.cutout or "
            "augmentation.crop_padding hides them entirely: give a cutout as a fraction of the side, such as "
            "0.5, or 0 for none."
        )
