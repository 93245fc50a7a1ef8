"""Made-up data to learn from: coloured rectangles on noise, whose colour is their class.

Importable by spawned processes.
"""

# Shapes: H x W pixels, C channels.

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raynas.config import merged
from raynas.programs.detect.prepare import PreparedDetection, prepare_detection
from raynas.programs.detect.worker import DetectionInput, build_detector_training
from raynas.training.device import Placement
from raynas.training.final import FinalTraining

COLOURS = np.array([[230, 50, 50], [50, 230, 50], [50, 50, 230]], dtype=np.uint8)
NAMES = ("red", "green", "blue")
SIDE = 96
DETECTOR: dict[str, Any] = {
    "fpn_channels": 16,
    "box_features": 32,
    "anchor_sizes": [[16], [32], [64], [96]],
    "sides": [SIDE],
    "longest_side": SIDE,
    "norm": "trained",
    "proposals": {"kept_train": 50, "kept": 50},
    "boxes": {"batch": 32, "positive_fraction": 0.5},
}
SETTINGS: dict[str, Any] = {
    "network": {"stem": "imagenet", "cells_per_stack": 1, "filters": 8, "stem_filters": 8},
    "detector": DETECTOR,
    "data": {"processes": 0},
    "training": {
        "epochs": 2,
        "batch_size": 2,
        "precision": "float32",
        "optimizer": {"name": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-4},
    },
    "workers": {"count": 1, "cpus": 0.01},
    "tracking": {"enabled": False},
}
"""Fields of DetectConfig for the smallest detector that learns."""


def draw_rectangles(
    rng: np.random.Generator, size: tuple[int, int] = (SIDE, SIDE), number: int | None = None
) -> tuple[Image.Image, list[tuple[int, list[int]]]]:
    """A picture with one to three rectangles, or `number`, and the class and [x, y, w, h] of each."""
    width, height = size
    pixels_HWC = rng.integers(0, 100, (height, width, 3), dtype=np.uint8)
    boxes = []
    for _ in range(number or int(rng.integers(1, 4))):
        w, h = rng.integers(20, 48, 2).tolist()
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        kind = int(rng.integers(0, 3))
        pixels_HWC[y : y + h, x : x + w] = COLOURS[kind]
        boxes.append((kind, [x, y, w, h]))
    return Image.fromarray(pixels_HWC), boxes


def write_rectangles(
    root: Path,
    *,
    num_train: int = 8,
    num_validation: int = 4,
    number: int | None = None,
    sizes: Sequence[tuple[int, int]] = ((SIDE, SIDE),),
    seed: int = 0,
) -> Path:
    """Writes a COCO folder; pictures have these sizes in turn, and `number` rectangles each if given."""
    rng = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train2017", num_train), ("val2017", num_validation)):
        (root / split).mkdir()
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for place in range(count):
            size = sizes[place % len(sizes)]
            picture, boxes = draw_rectangles(rng, size, number)
            picture.save(root / split / f"{place:04}.png")
            images.append({"id": place, "file_name": f"{place:04}.png", "width": size[0], "height": size[1]})
            for kind, box in boxes:
                annotations.append(
                    {
                        "id": 1 + len(annotations),
                        "image_id": place,
                        "category_id": 1 + kind,
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": 0,
                    }
                )
        content = {
            "info": {},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1 + place, "name": name} for place, name in enumerate(NAMES)],
        }
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def prepared(data: Path, out: Path, what: str = "nasnet_a", **settings: Any) -> PreparedDetection:
    """The smallest detector's training on a folder that `write_rectangles` wrote."""
    given = merged(merged(SETTINGS, {"data": {"source": str(data)}}), settings)
    return prepare_detection(what, recipe="small", out=out, settings=given)


def training_of(prepared: PreparedDetection, placement: Placement | None = None) -> FinalTraining[Any]:
    """What one worker would train."""
    return build_detector_training(
        placement or Placement(), DetectionInput.of(prepared), config=prepared.config
    )
