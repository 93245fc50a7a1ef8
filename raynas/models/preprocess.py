"""Turns a picture of any size into a network's input, as ImageNet networks are evaluated."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from raynas.data.pixels import Interpolation, central_square, shorter_side
from raynas.errors import DataError, UsageError


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
    interpolation: Interpolation = "bicubic"

    @property
    def shorter_side(self) -> int:
        """Pixels of the shorter side to which a picture is resized before the crop."""
        return shorter_side(self.image_size, self.crop_fraction)

    def __call__(self, picture: Image.Image) -> Tensor:
        """float32 (C, image_size, image_size) from a picture in any PIL mode.

        Raises:
            DataError: the range of the picture's values is unknown, or the picture is so long and thin that
                resizing it would fill the memory.
        """
        pixels_HW = np.asarray(self._cut(picture), dtype=np.float32)
        pixels_HWC = pixels_HW.reshape(self.image_size, self.image_size, len(self.mean)) / 255.0
        scaled_HWC = (torch.from_numpy(pixels_HWC) - torch.tensor(self.mean)) / torch.tensor(self.std)
        return scaled_HWC.permute(2, 0, 1)

    def _cut(self, picture: Image.Image) -> Image.Image:
        try:
            return central_square(
                picture,
                self.image_size,
                "L" if len(self.mean) == 1 else "RGB",
                crop_fraction=self.crop_fraction,
                interpolation=self.interpolation,
            )
        except ValueError as error:
            raise DataError(f"The picture can't be used: {error}. Convert it or leave it out.") from error


def check_images(images_NHWC: NDArray[np.uint8]) -> None:
    """UsageError unless these are pixels of pictures, in grey or colour."""
    shape = images_NHWC.shape
    if images_NHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape[1:3]:
        raise UsageError(
            f"Images must be uint8 of shape [N, height, width, 1 or 3]; these are {images_NHWC.dtype} of "
            f"shape {list(shape)}. Give unscaled pixel values from 0 to 255, with channels last."
        )


def as_picture(image_HWC: NDArray[np.uint8]) -> Image.Image:
    """Pixels as a Pillow picture, grey or in colour."""
    return Image.fromarray(image_HWC[..., 0] if image_HWC.shape[2] == 1 else image_HWC)
