"""Puts pictures of any size into images of one fixed size, as exported detectors take them."""

# Shapes: C channels, H x W pixels, D detections.

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from raynas.detection.config import DetectorConfig
from raynas.errors import UsageError

SIDE_MULTIPLE, MAX_SIDE = 32, 8192
"""Pixels: what sides are multiples of, and how long they are at most."""
ImageSize = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True)
class Letterboxed:
    """A picture scaled into the upper left corner of an image of fixed size."""

    image_1CHW: Tensor
    inner_size: Tensor
    """Height and width of the picture in the image, int64 (2,)."""
    scale: tuple[float, float]
    """Pixels of the image per pixel of the picture, down and across."""

    def in_picture(self, boxes_D4: Tensor) -> Tensor:
        """Boxes of the image in the picture's own pixels."""
        down, across = self.scale
        return boxes_D4 / boxes_D4.new_tensor([across, down, across, down])


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How pictures are put into images of one size.

    Args:
        image_size: of the images.
        fits: a picture is scaled until it is as large as fits into this, which is `image_size` or less.
        stretches: whether it becomes exactly as large as `fits`, whatever its shape.
    """

    image_size: ImageSize
    fits: ImageSize
    stretches: bool = False

    @staticmethod
    def of(config: DetectorConfig, image_size: ImageSize | None = None) -> Letterbox:
        """How a detector's pictures are scaled.

        Args:
            image_size: None takes the size of evaluation, rounded up to multiples of 32. A picture that is
                wider than high is then scaled as the detector scales it; one that is higher than wide gets
                smaller.
        Raises:
            UsageError: `image_size` is no multiple of 32.
        """
        if image_size is not None:
            check_image_size(image_size)
            return Letterbox(image_size, image_size, config.stretch)
        shorter = config.sides[-1]
        fits = (shorter, shorter if config.stretch else config.longest_side)
        height, width = (-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in fits)
        return Letterbox((height, width), fits, config.stretch)

    def __call__(self, picture_CHW: Tensor) -> Letterboxed:
        """A picture, float in [0, 1], scaled as FasterRCNN does, and zeros beside it."""
        height, width = picture_CHW.shape[1:]
        inner = self.inner_size((height, width))
        scaled_1CHW = F.interpolate(picture_CHW[None], size=inner, mode="bilinear", align_corners=False)
        right, below = self.image_size[1] - inner[1], self.image_size[0] - inner[0]
        padded_1CHW = F.pad(scaled_1CHW, (0, right, 0, below))
        return Letterboxed(padded_1CHW, torch.tensor(inner), (inner[0] / height, inner[1] / width))

    def inner_size(self, size: ImageSize) -> ImageSize:
        """Height and width that a picture of some size gets."""
        if self.stretches:
            return self.fits
        scale = min(self.fits[0] / size[0], self.fits[1] / size[1])
        return max(math.floor(size[0] * scale), 1), max(math.floor(size[1] * scale), 1)


def check_image_size(image_size: ImageSize) -> None:
    """UsageError unless both sides are multiples of 32, up to MAX_SIDE."""
    if any(side % SIDE_MULTIPLE or not SIDE_MULTIPLE <= side <= MAX_SIDE for side in image_size):
        rounded = [round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE for side in image_size]
        nearest = [min(max(side, SIDE_MULTIPLE), MAX_SIDE) for side in rounded]
        raise UsageError(
            f"image_size = {list(image_size)} must be height and width, both multiples of {SIDE_MULTIPLE}, "
            f"at most {MAX_SIDE}. Give {nearest}."
        )
