"""Turns a picture of any size into a network's input, as ImageNet networks are evaluated."""

# Shapes: C channels, H x W pixels.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from raynas.data.decode import MAX_PIXELS
from raynas.errors import DataError


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Resizes a picture, cuts out its middle, and scales the values, by default to [-1, 1].

    Args:
        image_size: pixels per side of the central crop.
        crop_fraction: side of the crop, as a fraction of the resized picture's shorter side.
        mean: subtracted from each channel's values in [0, 1]; a single number means a grey picture.
        std: what each channel is divided by after that.
        interpolation: how pictures are resized.
    Source: timm's configuration of nasnetalarge.tf_in1k and pnasnet5large.tf_in1k.
    """

    image_size: int = 331
    crop_fraction: float = 0.911
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"

    @property
    def shorter_side(self) -> int:
        """Pixels of the shorter side to which a picture is resized before the crop."""
        return math.floor(self.image_size / self.crop_fraction)

    def __call__(self, picture: Image.Image) -> Tensor:
        """float32 (C, image_size, image_size) from a picture in any PIL mode.

        Raises:
            DataError: the picture is so long and thin that resizing it would fill the memory.
        """
        resized = self._resized(picture.convert("L" if len(self.mean) == 1 else "RGB"))
        left = round((resized.width - self.image_size) / 2)
        top = round((resized.height - self.image_size) / 2)
        cut = resized.crop((left, top, left + self.image_size, top + self.image_size))
        pixels_HWC = np.asarray(cut, dtype=np.float32).reshape(*cut.size, len(self.mean)) / 255.0
        scaled_HWC = (torch.from_numpy(pixels_HWC) - torch.tensor(self.mean)) / torch.tensor(self.std)
        return scaled_HWC.permute(2, 0, 1)

    def _resized(self, picture: Image.Image) -> Image.Image:
        shorter = self.shorter_side
        width, height = picture.size
        longer = int(shorter * max(width, height) / min(width, height))
        if shorter * longer > MAX_PIXELS:
            raise DataError(
                f"A picture of {width}x{height} pixels would be resized to {shorter:,}x{longer:,}; at most "
                f"{MAX_PIXELS:,} pixels are allowed. Crop it to a shape that is less long and thin."
            )
        size = (shorter, longer) if width <= height else (longer, shorter)
        return picture.resize(size, Image.Resampling[self.interpolation.upper()])
