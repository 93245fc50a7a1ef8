"""Small data sets with boxes on disk, in COCO's format, for the tests of raynas.detection."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.dataset import DetectionData, open_detection

SIZE = (64, 48)
CLASSES = ({"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 9, "name": "owl"})

Content = dict[str, Any]
Change = Callable[[Content], object]


def picture(number: int, size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """A picture of noise; its top left corner is black and its bottom right corner white."""
    width, height = size
    pixels_HWC = np.random.default_rng(number).integers(40, 200, (height, width, 3), dtype=np.uint8)
    pixels_HWC[: height // 4, : width // 4] = 0
    pixels_HWC[-height // 4 :, -width // 4 :] = 255
    return Image.fromarray(pixels_HWC).convert(mode)


def coco(
    num_pictures: int = 4,
    *,
    boxes: Sequence[Sequence[float]] = ((4, 6, 20, 10), (30, 20, 12, 16)),
    size: tuple[int, int] = SIZE,
) -> Content:
    """Every picture has the same boxes, of classes in turn; picture ids are 100, 101, ..."""
    pictures = [
        {"id": 100 + number, "file_name": f"{number:04}.png", "width": size[0], "height": size[1]}
        for number in range(num_pictures)
    ]
    annotations = [
        {
            "id": 1 + place,
            "image_id": pictures[place // len(boxes)]["id"],
            "category_id": CLASSES[place % len(CLASSES)]["id"],
            "bbox": list(boxes[place % len(boxes)]),
            "area": boxes[place % len(boxes)][2] * boxes[place % len(boxes)][3],
            "iscrowd": 0,
        }
        for place in range(num_pictures * len(boxes))
    ]
    return {
        "info": {},
        "images": pictures,
        "annotations": annotations,
        "categories": [dict(kind) for kind in CLASSES],
    }


def write_coco(
    root: Path,
    *,
    train: Content | None = None,
    validation: Content | None = None,
    draw: Callable[[int], Image.Image] = picture,
) -> Path:
    """Writes COCO's usual layout; the validation split has two pictures unless given."""
    splits = {"train2017": train or coco(), "val2017": validation or coco(2)}
    (root / "annotations").mkdir(parents=True)
    for name, content in splits.items():
        (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))
        write_pictures(root / name, content, draw=draw)
    return root


def write_pictures(folder: Path, content: Content, *, draw: Callable[[int], Image.Image] = picture) -> None:
    """The pictures have the names that `coco` gives, whatever the content says now."""
    folder.mkdir(parents=True)
    for number in range(len(content["images"])):
        draw(number).save(folder / f"{number:04}.png")


def opened(root: Path, **settings: Any) -> DetectionData:
    return open_detection(DetectionDataConfig(source=str(root), **settings))


def written(root: Path, change: Change, **coco_settings: Any) -> Path:
    """A data set whose training annotations were changed."""
    content = coco(**coco_settings)
    change(content)
    return write_coco(root, train=content)


def first_box(content: Content, **values: Any) -> None:
    content["annotations"][0].update(values)


def second_picture(content: Content, **values: Any) -> None:
    content["images"][1].update(values)
