"""Small data sets on disk for the tests of raynas.data."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

NUM_IMAGES = 20


def picture(value: int = 0, *, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    """A picture of one value in every pixel and channel."""
    shape_HWC = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    return Image.fromarray(np.full(shape_HWC, value, dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def pictures(count: int = NUM_IMAGES) -> list[bytes]:
    """PNG pictures whose values are 10 times their number, so that pixels tell the row."""
    return [encoded(picture(10 * index)) for index in range(count)]


def write_parquet(
    path: Path,
    *,
    images: Sequence[bytes | None] | None = None,
    labels: Sequence[Any] | None = None,
    image_column: str = "image",
    label_column: str = "label",
    class_names: Sequence[str] | None = ("cat", "dog"),
    row_group_size: int = 6,
) -> Path:
    """Writes a file in the Hugging Face layout; labels alternate between 0 and 1 unless given."""
    images = pictures() if images is None else images
    labels = [index % 2 for index in range(len(images))] if labels is None else labels
    cells = [{"bytes": image, "path": None} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({image_column: pa.array(cells, kind), label_column: pa.array(labels)})
    if class_names is not None:
        table = table.replace_schema_metadata(hugging_face(label_column, class_names))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def hugging_face(label_column: str, class_names: Sequence[str]) -> dict[str, str]:
    """Schema metadata with the names of the classes."""
    features = {label_column: {"names": list(class_names), "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write_folder(
    root: Path, *, classes: Sequence[str] = ("cat", "dog"), per_class: int = 10, ending: str = "png"
) -> Path:
    """Writes one folder of pictures per class; the pixels of class i have the value 100 * i."""
    for index, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            picture(100 * index).save(root / name / f"{number:03}.{ending}")
    return root
