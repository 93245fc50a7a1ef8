"""RandAugment with Pillow: operations are drawn at random and applied with the same strength."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class RandAugment:
    """Applies `num_operations` random operations of the list below, one after the other.

    Args:
        magnitude: strength of all operations, from 0 to 10.
    Source: Cubuk et al. 2020 (arXiv 1909.13719), with AutoAugment's ranges, table 6; 10 is the strongest.
    """

    num_operations: int = 2
    magnitude: float = 9.0

    def __call__(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """A picture of the same size, in RGB."""
        for index in rng.integers(len(AUGMENTATIONS), size=self.num_operations):
            sign = 1.0 if rng.random() < 0.5 else -1.0
            picture = AUGMENTATIONS[index](picture, self.magnitude / 10, sign)
        return picture


Operation = Callable[[Image.Image, float, float], Image.Image]
"""A function of a picture, a strength in [0, 1] and a direction, which is 1 or -1."""


def _affine(picture: Image.Image, *matrix: float) -> Image.Image:
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=_GREY
    )


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda picture, strength, sign: kind(picture).enhance(1 + 0.9 * strength * sign)


AUGMENTATIONS: tuple[Operation, ...] = (
    lambda picture, strength, sign: picture,
    lambda picture, strength, sign: ImageOps.autocontrast(picture),
    lambda picture, strength, sign: ImageOps.equalize(picture),
    lambda picture, strength, sign: ImageOps.posterize(picture, 8 - round(4 * strength)),
    lambda picture, strength, sign: ImageOps.solarize(picture, round(256 * (1 - strength))),
    lambda picture, strength, sign: picture.rotate(30 * strength * sign, fillcolor=_GREY),
    lambda picture, strength, sign: _affine(picture, 1, 0.3 * strength * sign, 0, 0, 1, 0),
    lambda picture, strength, sign: _affine(picture, 1, 0, 0, 0.3 * strength * sign, 1, 0),
    lambda picture, strength, sign: _affine(picture, 1, 0, picture.width * 0.45 * strength * sign, 0, 1, 0),
    lambda picture, strength, sign: _affine(picture, 1, 0, 0, 0, 1, picture.height * 0.45 * strength * sign),
    _enhanced(ImageEnhance.Color),
    _enhanced(ImageEnhance.Contrast),
    _enhanced(ImageEnhance.Brightness),
    _enhanced(ImageEnhance.Sharpness),
)
