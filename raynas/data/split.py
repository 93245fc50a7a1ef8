"""The result of loading data into memory: train and validation images with all that training needs."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raynas.data.found import Found


@dataclass(frozen=True, slots=True, eq=False)
class ImageSplit:
    """Images of one data set, decoded and split. The arrays are read-only, so that workers can share them.

    Images are uint8 and labels int64. mean_C and std_C are those of the train pixels, scaled to [0, 1].
    `found` is what the data set was found to hold; None if the images come from elsewhere. `own_validation`
    is where the validation images lie; None if they were held out of the training images at random.
    """

    name: str
    train_images_NHWC: NDArray[np.uint8]
    train_labels_N: NDArray[np.int64]
    validation_images_NHWC: NDArray[np.uint8]
    validation_labels_N: NDArray[np.int64]
    num_classes: int
    class_names: tuple[str, ...] | None
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    found: Found | None = None
    own_validation: str | None = None

    def __post_init__(self) -> None:
        for field in ("train_images_NHWC", "train_labels_N", "validation_images_NHWC", "validation_labels_N"):
            # A view, so that the caller's own array stays writable.
            read_only = getattr(self, field).view()
            read_only.flags.writeable = False
            object.__setattr__(self, field, read_only)

    @property
    def image_size(self) -> int:
        """Pixels per side; images are square."""
        return int(self.train_images_NHWC.shape[1])

    @property
    def num_train_images(self) -> int:
        """Number of images of the train part."""
        return len(self.train_labels_N)

    @property
    def num_validation_images(self) -> int:
        """Number of images of the validation part."""
        return len(self.validation_labels_N)

    @property
    def num_channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(self.train_images_NHWC.shape[3])

    def described(self) -> list[str]:
        """What was found in the data set, and how it is used, in lines for the user."""
        held_out = len(self.validation_labels_N)
        size = f"{self.image_size}x{self.image_size} pixels (data.image_size)"
        use = f"in memory, at {size}: {self.num_train_images:,} of them for training"
        lines = self.found.lines() if self.found else []
        if self.own_validation is not None:
            return [*lines, f"{use}, and {held_out:,} of those in {self.own_validation} for validation"]
        return [*lines, f"{use}, {held_out:,} others held out at random for validation"]

    def digest(self) -> str:
        """16 hex digits, equal for two splits only if their images and labels are equal and in one order."""
        digest = hashlib.sha256(f"{self.num_classes} classes".encode())
        arrays: tuple[NDArray[Any], ...] = (
            self.train_images_NHWC,
            self.train_labels_N,
            self.validation_images_NHWC,
            self.validation_labels_N,
        )
        for array in arrays:
            # With type and shape, so that the boundaries between arrays count.
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]
