"""`raynas doctor` for pictures with boxes: what was found, what was wrong and how training deals with it."""

# Shapes: N boxes, K classes.

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from raynas.detection.data import DetectionDataConfig, DetectionSet, open_detection
from raynas.errors import DataError

MOST_CLASSES = 20
"""Classes that are listed, the most frequent first."""


def boxes_found(source: str) -> str:
    """What a detector would be trained and measured with, in lines of text.

    Raises:
        DataError: it could not be trained with this data; the message says why.
    """
    data = open_detection(DetectionDataConfig(source=source))
    lines = [f"{data.name}: pictures with boxes, of {len(data.classes)} classes"]
    for name, split in (("training", data.train), ("validation", data.validation)):
        if split is not None:
            lines += _described(name, split)
    if data.train is not None:
        lines += data.train.for_training().findings
    for name, split in (("train", data.train), ("validation", data.validation)):
        if split is None:
            problem = (
                f"There are no pictures for {'training' if name == 'train' else name}, which raynas detect "
                f"needs. Name their annotations {name}, or set data.{name}_annotations."
            )
            raise DataError("\n".join([*lines, problem]))
    return "\n".join(lines)


def _described(name: str, split: DetectionSet) -> Iterator[str]:
    boxes = split.boxes
    num_crowds = int(boxes.is_crowd_N.sum())
    crowds = f", {num_crowds:,} of them crowds" if num_crowds else ""
    num_empty = int((np.diff(boxes.offsets) == 0).sum())
    empty = f"; {num_empty:,} pictures have none" if num_empty else ""
    yield f"{name}: {split.num_pictures:,} pictures, {len(boxes):,} boxes{crowds}{empty} ({split.file})"
    yield f"{name} boxes by class: {_classes(split)}"
    yield from split.findings


def _classes(split: DetectionSet) -> str:
    counts_K = np.bincount(split.boxes.labels_N, minlength=len(split.classes) + 1)[1:]
    order = np.argsort(-counts_K, kind="stable").tolist()
    shown = ", ".join(f"{split.classes.names[place]} {counts_K[place]:,}" for place in order[:MOST_CLASSES])
    return shown + (f" and {len(order) - MOST_CLASSES:,} more" if len(order) > MOST_CLASSES else "")
