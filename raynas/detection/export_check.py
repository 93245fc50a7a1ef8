"""Compares what an exported detector finds with what the detector in PyTorch finds, on pictures."""

# Shapes: C channels, H x W pixels, D detections.

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from raynas.data.layout import role_of_name
from raynas.data.stream.location import LOCAL
from raynas.detection.data.pictures import FilePicture, Mode, decode_picture
from raynas.detection.letterbox import ImageSize, Letterboxed
from raynas.detection.predictor import picture_tensor
from raynas.errors import RaynasError, UsageError
from raynas.models.torchvision_import import load_torchvision

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

Found = tuple[Tensor, Tensor, Tensor]
"""Boxes (D, 4), scores (D,) and labels (D,)."""
Inference = Callable[[Letterboxed], Found]
SCORE = 0.3
"""Detections above this are compared; those of a picture without any are compared by their best."""
BEST = 10
PIXELS, SCORES = 0.5, 0.01
"""Largest differences of a box and of a score."""
SHARE = 0.95
"""Least share of detections that are in both. NMS keeps one of two boxes by scores that may be almost
equal.
"""
NUM_PICTURES = 4
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@torch.no_grad()
def found_by_detector(detector: FasterRCNN, boxed: Letterboxed) -> Found:
    """What FasterRCNN finds in a letterboxed picture, in pixels of the image."""
    height, width = boxed.inner_size.tolist()
    image_1CHW = torch.zeros_like(boxed.image_1CHW)
    inner_CHW = boxed.image_1CHW[0, :, :height, :width]
    image_1CHW[0, :, :height, :width] = detector.transform.normalize(inner_CHW)
    maps = detector.backbone(image_1CHW)
    maps = OrderedDict([("0", maps)]) if isinstance(maps, Tensor) else maps
    images = load_torchvision().models.detection.image_list.ImageList(image_1CHW, [(height, width)])
    proposals, _ = detector.rpn(images, maps)
    (found,), _ = detector.roi_heads(maps, proposals, images.image_sizes)
    return found["boxes"], found["scores"], found["labels"]


@torch.no_grad()
def compare(given: Inference, expected: Inference, images: Sequence[Letterboxed]) -> str:
    """How far the detections of two detectors are apart, in words.

    Raises:
        RaynasError: too far.
    """
    total, matched, pixels, scores = 0, 0, 0.0, 0.0
    for boxed in images:
        ours, theirs = given(boxed), expected(boxed)
        for some, others in ((ours, theirs), (theirs, ours)):
            for box_4, score, label in zip(*_chosen(some), strict=True):
                total += 1
                gap, score_gap = _nearest(box_4, score, label, others)
                if gap <= PIXELS and score_gap <= SCORES:
                    matched, pixels, scores = matched + 1, max(pixels, gap), max(scores, score_gap)
    if matched < SHARE * total:
        raise RaynasError(
            f"The exported file finds other things than the detector: of {total} detections in "
            f"{len(images)} pictures, {matched} have a counterpart of their class within {PIXELS} pixels and "
            f"a score of {SCORES}. Nothing was exported; another format may do better. Please report this "
            "cell."
        )
    if not total:
        return f"nothing is found in {len(images)} pictures by either"
    return (
        f"boxes {pixels:.1e} pixels, scores {scores:.1e}, for {matched} of {total} detections in "
        f"{len(images)} pictures"
    )


def _chosen(found: Found) -> Found:
    boxes_D4, scores_D, labels_D = found
    number = int((scores_D > SCORE).sum()) or BEST
    return boxes_D4[:number], scores_D[:number], labels_D[:number]


def _nearest(box_4: Tensor, score: Tensor, label: Tensor, others: Found) -> tuple[float, float]:
    """Distances, in pixels and in score, from the nearest box of the same class."""
    boxes_D4, scores_D, labels_D = others
    is_same_D = labels_D == label
    if not is_same_D.any():
        return float("inf"), float("inf")
    gaps_D = (boxes_D4[is_same_D] - box_4).abs().amax(dim=1)
    nearest = int(gaps_D.argmin())
    return float(gaps_D[nearest]), float((scores_D[is_same_D][nearest] - score).abs())


def pictures_of(place: Path, *, num_channels: int) -> list[Tensor]:
    """A few pictures of a file or of a folder and what is below it, float (C, H, W) in [0, 1].

    Pictures for validation come before others, where names of folders tell.

    Raises:
        UsageError: there are none, or one can't be decoded.
    """
    files = [place] if place.is_file() else _files_below(place)
    if not files:
        raise UsageError(f"There are no pictures in {place}. Allowed: {', '.join(SUFFIXES)}.")
    mode: Mode = "L" if num_channels == 1 else "RGB"
    pictures = []
    for file in files[:: max(len(files) // NUM_PICTURES, 1)][:NUM_PICTURES]:
        picture, _ = decode_picture(FilePicture(LOCAL, str(file)), file.name, mode=mode)
        pixels = np.array(picture)
        pixels_HWC = pixels[..., None] if pixels.ndim == 2 else pixels
        pictures.append(picture_tensor(pixels_HWC, num_channels=num_channels))
    return pictures


def has_pictures(folder: Path) -> bool:
    """Whether a picture file is in the folder or below it."""
    return any(name.lower().endswith(SUFFIXES) for _, _, names in os.walk(folder) for name in names)


def _files_below(folder: Path) -> list[Path]:
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES)
    ]
    held_out = [
        path for path in found if "held out" in map(role_of_name, path.relative_to(folder).parent.parts)
    ]
    return sorted(held_out or found)


def made_up_pictures(size: ImageSize, *, num_channels: int) -> list[Tensor]:
    """Pictures of rectangles on noise, the same each time, for want of real ones."""
    rng, (height, width) = np.random.default_rng(0), size
    pictures = []
    for _ in range(NUM_PICTURES):
        pixels_HWC = rng.integers(0, 128, (height, width, num_channels), dtype=np.uint8)
        for _ in range(3):
            top, left = rng.integers(0, height * 2 // 3), rng.integers(0, width * 2 // 3)
            pixels_HWC[top : top + height // 3, left : left + width // 3] = rng.integers(0, 256, num_channels)
        pictures.append(picture_tensor(pixels_HWC, num_channels=num_channels))
    return pictures
