"""From a picture of any size to a network's input, as ImageNet networks are evaluated."""

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
    """Resizes, cuts out the middle, and scales the values; by default to [-1, 1].

    Args:
        image_size: pixels per side of the cut.
        crop_fraction: share of the resized picture's shorter side that it is.
        mean, std: of each channel's values in [0, 1], taken off and divided by; one channel is grey.
    Source: timm's configuration of nasnetalarge.tf_in1k and pnasnet5large.tf_in1k.
    """

    image_size: int = 331
    crop_fraction: float = 0.911
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"

    def __call__(self, picture: Image.Image) -> Tensor:
        """(C, image_size, image_size) float32 of a picture in any mode; DataError if it is much too long."""
        resized = self._resized(picture.convert("L" if len(self.mean) == 1 else "RGB"))
        left = round((resized.width - self.image_size) / 2)
        top = round((resized.height - self.image_size) / 2)
        cut = resized.crop((left, top, left + self.image_size, top + self.image_size))
        pixels_HWC = np.asarray(cut, dtype=np.float32).reshape(*cut.size, len(self.mean)) / 255.0
        scaled_HWC = (torch.from_numpy(pixels_HWC) - torch.tensor(self.mean)) / torch.tensor(self.std)
        return scaled_HWC.permute(2, 0, 1)

    def _resized(self, picture: Image.Image) -> Image.Image:
        shorter = math.floor(self.image_size / self.crop_fraction)
        width, height = picture.size
        longer = int(shorter * max(width, height) / min(width, height))
        if shorter * longer > MAX_PIXELS:
            raise DataError(
                f"A picture of {width}x{height} pixels would be resized to {shorter:,}x{longer:,}; at most "
                f"{MAX_PIXELS:,} pixels are allowed. Cut it to a shape that is less long."
            )
        size = (shorter, longer) if width <= height else (longer, shorter)
        return picture.resize(size, Image.Resampling[self.interpolation.upper()])
