"""The one way from a picture to a network's pixels: in memory, streamed, and for pictures to be classified.

The code on a model card (raynas/models/card.py) does the same without raynas; tests compare the two.
"""

# Shapes: H x W pixels.

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

MAX_PIXELS = 64 * 1024 * 1024
"""Largest width times height. Pillow warns of decompression bombs from 89 million pixels on."""

Interpolation = Literal["bilinear", "bicubic"]

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def central_square(
    picture: Image.Image,
    size: int,
    mode: str,
    *,
    crop_fraction: float = 1.0,
    interpolation: Interpolation = "bilinear",
) -> Image.Image:
    """Converts a picture, resizes it, and cuts out its middle; nothing is resized that has the right size.

    It is turned as its EXIF orientation says, as a camera shows it. An alpha channel is dropped.

    Args:
        size: pixels per side of the result.
        mode: 'L' or 'RGB'.
        crop_fraction: side of the result, as a fraction of the resized picture's shorter side.
    Raises:
        ValueError: the range of the picture's values is unknown, or it is too long and thin to be resized.
    """
    resized = _resized(converted(upright(picture), mode), shorter_side(size, crop_fraction), interpolation)
    left, top = round((resized.width - size) / 2), round((resized.height - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def upright(picture: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says that it is to be seen."""
    turn = _TURNS.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height of `upright(picture)`, without decoding."""
    width, height = picture.size
    return (height, width) if _orientation(picture) in _SWAPPED else (width, height)


def _orientation(picture: Image.Image) -> int:
    # Pillow decodes a whole PNG file in search of EXIF data that it doesn't have.
    if "exif" not in picture.info and picture.format == "PNG":
        return 1
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Damaged EXIF data, for which Pillow raises SyntaxError, struct.error and others, says nothing.
        return 1
    return orientation if isinstance(orientation, int) else 1


def shorter_side(size: int, crop_fraction: float) -> int:
    """Pixels of the shorter side to which a picture is resized before its middle is cut out."""
    return math.floor(size / crop_fraction)


def converted(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in mode 'L' or 'RGB'; of 16-bit grey values, the high byte.

    Raises:
        ValueError: the range of its values is unknown, or Pillow can't convert its mode.
    """
    if picture.mode.startswith("I"):
        picture = _high_bytes(picture)
    elif picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    elif picture.mode in _PREMULTIPLIED:
        picture = picture.convert(_PREMULTIPLIED[picture.mode])
    elif picture.mode == "P" and "transparency" in picture.info:
        # By way of RGBA, because Pillow warns about each such picture that goes straight to RGB.
        picture = picture.convert("RGBA")
    return picture if picture.mode == mode else picture.convert(mode)


def _high_bytes(picture: Image.Image) -> Image.Image:
    # Pillow's own conversion of 16-bit grey clips at 255 instead of scaling.
    values_HW = np.asarray(picture)
    if values_HW.min() < 0 or values_HW.max() > 0xFFFF:
        raise ValueError("its pixels are integers of more than 16 bits")
    return Image.fromarray((values_HW >> 8).astype(np.uint8))


def _resized(picture: Image.Image, shorter: int, interpolation: Interpolation) -> Image.Image:
    width, height = picture.size
    longer = int(shorter * max(width, height) / min(width, height))
    if shorter * longer > MAX_PIXELS:
        raise ValueError(
            f"its {width}x{height} pixels would be resized to {shorter:,}x{longer:,}, and at most "
            f"{MAX_PIXELS:,} pixels are allowed; crop it to a shape that is less long and thin"
        )
    size = (shorter, longer) if width <= height else (longer, shorter)
    return picture.resize(size, Image.Resampling[interpolation.upper()])
