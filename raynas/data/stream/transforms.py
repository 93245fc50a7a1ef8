"""Turns an encoded image into the network's pixels, for training and for evaluation, with Pillow and NumPy.

Each image has its own random generator, seeded by its number: it doesn't matter which process decodes it.
"""

# Shapes: H x W pixels, C channels.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from raynas.data.decode import EncodedImage, check_size, opened_image
from raynas.data.pixels import central_square, converted, upright, upright_size
from raynas.data.stream.randaugment import RandAugment

CropBox = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_MAX_ASPECT_RATIO = 4 / 3
_ATTEMPTS = 10


class Transform(Protocol):
    """Brings every image to one size. It must pickle, because it is sent to the decoding processes."""

    @property
    def image_size(self) -> int:
        """Pixels per side of the transformed image."""

    def __call__(self, encoded: EncodedImage, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The transformed RGB pixels [H, W, C].

        Raises:
            DataError: the image is corrupt, too small or too large; the message names it.
        """


@dataclass(frozen=True, slots=True)
class TrainTransform:
    """Random resized crop with optional flip, colour jitter and RandAugment.

    Args:
        image_size: pixels per side.
        min_area: smallest area of the crop, as a fraction of the image's area.
        flip: mirror the image horizontally with probability one half.
        color_jitter: brightness, contrast and saturation are changed by factors within 1 +- this; 0 is off.
        rand_augment: None is off.
    Source: Szegedy et al. 2015 (arXiv 1409.4842), section 6.
    """

    image_size: int = 224
    min_area: float = 0.08
    flip: bool = True
    color_jitter: float = 0.0
    rand_augment: RandAugment | None = None

    def __call__(self, encoded: EncodedImage, rng: np.random.Generator) -> NDArray[np.uint8]:
        """See Transform."""
        with opened_image(encoded) as image:
            check_size(image.size, encoded)
            box = random_box(*upright_size(image), self.min_area, rng)
            picture = _cut(image, box, self.image_size)
        if self.color_jitter:
            picture = _color_jitter(picture, self.color_jitter, rng)
        if self.rand_augment is not None:
            picture = self.rand_augment(picture, rng)
        if self.flip and rng.random() < 0.5:
            # With Pillow, because copying a mirrored view of the array takes eight times as long.
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(picture)


@dataclass(frozen=True, slots=True)
class EvalTransform:
    """The middle of the image, as `central_square` cuts it; the pixels are normalised on the device."""

    image_size: int = 224
    crop_fraction: float = 0.875

    def __call__(self, encoded: EncodedImage, rng: np.random.Generator) -> NDArray[np.uint8]:
        """See Transform; `rng` is not used."""
        with opened_image(encoded) as image:
            check_size(image.size, encoded)
            cut = central_square(
                image, self.image_size, "RGB", crop_fraction=self.crop_fraction, interpolation="bicubic"
            )
        return np.asarray(cut)


def random_box(width: int, height: int, min_area: float, rng: np.random.Generator) -> CropBox:
    """A box of random area and aspect ratio inside the image; a centre crop if none of ten tries fits."""
    area_A = rng.uniform(min_area, 1, _ATTEMPTS) * width * height
    ratio_A = _MAX_ASPECT_RATIO ** rng.uniform(-1, 1, _ATTEMPTS)
    for area, ratio in zip(area_A, ratio_A, strict=True):
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = int(rng.integers(width - box_width + 1))
            top = int(rng.integers(height - box_height + 1))
            return left, top, left + box_width, top + box_height
    box_width = min(width, round(height * _MAX_ASPECT_RATIO))
    box_height = min(height, round(width * _MAX_ASPECT_RATIO))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def _cut(image: Image.Image, box: CropBox, size: int) -> Image.Image:
    left, top, right, bottom = box
    width, height = upright_size(image)
    # A JPEG decodes faster at 1/2, 1/4 or 1/8 of its size; the crop must keep `size` pixels per side.
    wanted = (math.ceil(width * size / (right - left)), math.ceil(height * size / (bottom - top)))
    image.draft("RGB", wanted if (width, height) == image.size else wanted[::-1])
    turned = upright(image)
    scale_x, scale_y = turned.width / width, turned.height / height
    scaled = (left * scale_x, top * scale_y, right * scale_x, bottom * scale_y)
    return converted(turned, "RGB").resize((size, size), Image.Resampling.BILINEAR, box=scaled)


def _color_jitter(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for kind in rng.permutation(len(kinds)):
        picture = kinds[kind](picture).enhance(float(rng.uniform(max(0.0, 1 - strength), 1 + strength)))
    return picture
