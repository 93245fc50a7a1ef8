"""Tiny data sets in foreign formats, as their own programs write them."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

NAMES = ["cat", "dog"]


def pixels(num_images: int, side: int = 8, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_images, side, side, 3), dtype=np.uint8)


def cifar_batch(num_images: int, *, seed: int, labels: str = "labels") -> dict[str, Any]:
    images_NHWC = pixels(num_images, 32, seed=seed)
    return {
        "data": images_NHWC.transpose(0, 3, 1, 2).reshape(num_images, 3072),
        labels: [number % 2 for number in range(num_images)],
    }


def write_cifar(folder: Path, batches: Mapping[str, Any] | None = None) -> Path:
    """A folder of CIFAR-10 with four images in each batch, but for the batches that are given."""
    files: dict[str, Any] = {f"data_batch_{number}": cifar_batch(4, seed=number) for number in range(1, 6)}
    files |= {"test_batch": cifar_batch(2, seed=6), "batches.meta": {"label_names": NAMES}, **(batches or {})}
    folder.mkdir(parents=True)
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(raw)
    return folder


def png(image_HWC: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image_HWC).save(stream, "PNG")
    return stream.getvalue()


def write_saved(folder: Path, images: list[bytes | None], labels: list[int | None]) -> Path:
    """A Dataset as save_to_disk writes it, in batches of three rows."""
    folder.mkdir(parents=True)
    cells = [{"bytes": image, "path": "x.png"} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": pa.array(labels, pa.int64())})
    with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", table.schema) as stream:
        stream.write_table(table, max_chunksize=3)
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    files = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    return folder
