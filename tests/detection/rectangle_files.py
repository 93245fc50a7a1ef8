"""A COCO data set of made-up pictures: coloured rectangles on noise, one class per colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.detection.coco_sets import Content, coco, write_coco

SIDE = 96
COLOURS = ((230, 50, 50), (50, 230, 50), (50, 50, 230))
CORNERS = ((6, 8), (50, 44))
SIZES = ((34, 30), (28, 40))
"""Every picture has two rectangles, at the same places."""


def rectangle_set(root: Path, *, num_pictures: int = 4) -> Path:
    """Writes COCO's usual layout, with as many pictures for validation as for training."""
    return write_coco(root, train=_content(num_pictures), validation=_content(num_pictures), draw=_drawn)


def _content(num_pictures: int) -> Content:
    boxes = [(*corner, *size) for corner, size in zip(CORNERS, SIZES, strict=True)]
    content: dict[str, Any] = coco(num_pictures, boxes=boxes, size=(SIDE, SIDE))
    return content


def _drawn(number: int) -> Image.Image:
    pixels_HWC = np.random.default_rng(number).integers(0, 100, (SIDE, SIDE, 3), dtype=np.uint8)
    for place, ((x, y), (width, height)) in enumerate(zip(CORNERS, SIZES, strict=True)):
        colour = COLOURS[(2 * number + place) % len(COLOURS)]
        pixels_HWC[y : y + height, x : x + width] = colour
    return Image.fromarray(pixels_HWC)
