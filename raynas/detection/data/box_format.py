"""Tells left, top, width, height from left, top, right, bottom; refuses to guess where boxes don't tell."""

# Shapes: N boxes.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raynas.detection.data.config import BoxFormat
from raynas.errors import DataError

FITS = 0.98
"""Fraction of the boxes that must lie in their pictures for a format to be believed: a few are wrong."""
_FITS_NOT = 0.9
_ENOUGH_BOXES = 20
_SLACK = 1.0
"""Pixels by which a box may reach out of its picture, from rounding."""

_MEANING: dict[BoxFormat, str] = {
    "xywh": "[left, top, width, height]",
    "xyxy": "[left, top, right, bottom]",
}


def as_xywh(boxes_N4: NDArray[np.float64], box_format: BoxFormat) -> NDArray[np.float64]:
    """The boxes as left, top, width and height."""
    if box_format == "xywh":
        return boxes_N4
    return np.concatenate([boxes_N4[:, :2], boxes_N4[:, 2:] - boxes_N4[:, :2]], axis=1)


def fitting(boxes_N4: NDArray[np.float64], sizes_N2: NDArray[np.int64], box_format: BoxFormat) -> float:
    """Fraction of the boxes that have an area and lie in their pictures if they are in this format."""
    corners_N4 = as_xywh(boxes_N4, box_format).copy()
    has_area_N = (corners_N4[:, 2:] > 0).all(axis=1)
    corners_N4[:, 2:] += corners_N4[:, :2]
    is_inside_N = (corners_N4[:, :2] >= -_SLACK).all(axis=1)
    is_inside_N &= (corners_N4[:, 2:] <= sizes_N2 + _SLACK).all(axis=1)
    return float((has_area_N & is_inside_N).mean())


def check_coco_format(boxes_N4: NDArray[np.float64], sizes_N2: NDArray[np.int64], file: str) -> None:
    """Raises DataError if the boxes of a COCO file, which are xywh by definition, are clearly xyxy."""
    boxes_N4, sizes_N2 = _usable(boxes_N4, sizes_N2)
    if len(boxes_N4) < _ENOUGH_BOXES:
        return
    ours, other = (fitting(boxes_N4, sizes_N2, name) for name in ("xywh", "xyxy"))
    if other >= FITS and ours < _FITS_NOT:
        raise DataError(
            f"The boxes of {file} look like {_MEANING['xyxy']}: so read, {other:.1%} of them lie in their "
            f"pictures, and as {_MEANING['xywh']}, which COCO's format prescribes, {ours:.1%}. Set "
            "data.box_format to xyxy, or to xywh if they are right."
        )


def decided_format(
    boxes_N4: NDArray[np.float64], sizes_N2: NDArray[np.int64], default: BoxFormat, file: str
) -> BoxFormat:
    """The format that a layout suggests, if the boxes confirm it.

    Args:
        sizes_N2: width and height of each box's picture.
    Raises:
        DataError: they don't, or would do in either format; asks for data.box_format.
    """
    boxes_N4, sizes_N2 = _usable(boxes_N4, sizes_N2)
    if not len(boxes_N4):
        return default
    other: BoxFormat = "xyxy" if default == "xywh" else "xywh"
    ours, others = (fitting(boxes_N4, sizes_N2, name) for name in (default, other))
    if ours >= FITS and others < FITS:
        return default
    raise DataError(
        f"What the four numbers of a box in {file} are can't be decided: of {len(boxes_N4):,} boxes, "
        f"{ours:.1%} lie in their pictures as {_MEANING[default]}, which this layout suggests, and "
        f"{others:.1%} as {_MEANING[other]}. Set data.box_format to {default} or {other}. The first box is "
        f"{boxes_N4[0].tolist()} in a picture of {sizes_N2[0][0]}x{sizes_N2[0][1]} pixels."
    )


def _usable(
    boxes_N4: NDArray[np.float64], sizes_N2: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Boxes of finite numbers that may have an area, in pictures whose sizes are known."""
    keep_N = (
        np.isfinite(boxes_N4).all(axis=1) & (sizes_N2 > 0).all(axis=1) & (boxes_N4[:, 2:] != 0).all(axis=1)
    )
    return boxes_N4[keep_N], sizes_N2[keep_N]
