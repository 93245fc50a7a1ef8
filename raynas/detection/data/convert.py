"""Writes a COCO folder as Parquet shards in the Hugging Face layout, without re-encoding its pictures.

Boxes are [left, top, width, height], as in COCO; unlike other data sets of this layout these keep crowds,
areas, picture ids and the ids of the classes, so that evaluation gives the same numbers.
"""

# Shapes: N boxes.

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.data.layout import SPLITS, Split
from raynas.data.stream.convert import (
    ROWS_PER_GROUP,
    ReportWritten,
    check_empty,
    in_threads,
    shard_parts,
    unfinished_folder,
)
from raynas.data.stream.location import filesystem_of
from raynas.detection.data.boxes import DetectionClasses
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.dataset import DetectionData, DetectionSet, open_detection
from raynas.detection.data.parquet_objects import METADATA
from raynas.detection.data.pictures import FilePictures, read_bytes
from raynas.errors import DataError

_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class ConvertedShard:
    """A file to be written, with its pictures in order."""

    name: str
    split: DetectionSet
    numbers: list[int]


def convert_detection(
    config: DetectionDataConfig,
    out: Path,
    *,
    shard_bytes: int,
    report: ReportWritten = lambda num_pictures: None,
) -> list[Path]:
    """Writes train-00000-of-00042.parquet, ... and validation-00000-of-00002.parquet, ... into `out`.

    Args:
        config: a COCO folder.
        out: a folder that is empty or doesn't exist yet.
        shard_bytes: approximate size of the pictures of a shard.
        report: called with the number of pictures written since the last call, from several threads.
    Returns:
        Paths of the shards.
    Raises:
        DataError: the data set can't be used, or `out` is not empty or can't be written.
    """
    check_empty(out)
    return write_shards(open_detection(config), out, shard_bytes=shard_bytes, report=report)


def write_shards(
    data: DetectionData, out: Path, *, shard_bytes: int, report: ReportWritten = lambda num_pictures: None
) -> list[Path]:
    """Writes the shards of a data set that is open; see `convert_detection`."""
    shards = [
        shard
        for split, pictures in zip(SPLITS, (data.train, data.validation), strict=True)
        if pictures is not None
        for shard in _planned(split, pictures, shard_bytes)
    ]
    with unfinished_folder(out) as folder:
        in_threads([functools.partial(_write, shard, folder / shard.name, report) for shard in shards])
    return [out / shard.name for shard in shards]


def _planned(split: Split, pictures: DetectionSet, shard_bytes: int) -> list[ConvertedShard]:
    files = pictures.pictures
    if not isinstance(files, FilePictures):
        raise DataError(f"{pictures.file} is Parquet already. Give a COCO folder.")
    infos = filesystem_of(files.uri).get_file_info(list(files.paths))
    parts = shard_parts(split, [info.size or 0 for info in infos], shard_bytes)
    return [ConvertedShard(name, pictures, numbers) for name, numbers in parts.items()]


def _write(shard: ConvertedShard, path: Path, report: ReportWritten) -> None:
    schema = _schema(shard.split.classes, shard.split.picture_ids)
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=["image_id"]
    ) as file:
        for first in range(0, len(shard.numbers), ROWS_PER_GROUP):
            numbers = shard.numbers[first : first + ROWS_PER_GROUP]
            rows = [_row(shard.split, number) for number in numbers]
            file.write_table(pa.Table.from_pylist(rows, schema=schema))
            report(len(numbers))


def _row(split: DetectionSet, number: int) -> dict[str, Any]:
    width, height = split.sizes_P2[number].tolist()
    own = split.picture_ids[number]
    boxes, rows = split.boxes, split.boxes.of_picture(number)
    files = split.pictures
    assert isinstance(files, FilePictures)
    return {
        "image": {
            "bytes": read_bytes(files.fetch(np.array([number]))[0], own, declared=(width, height)),
            "path": PurePosixPath(files.paths[number]).name,
        },
        "image_id": own,
        "width": width,
        "height": height,
        "objects": {
            "bbox": shortest_xywh(boxes.boxes_N4[rows]).tolist(),
            "category": (boxes.labels_N[rows] - 1).tolist(),
            "area": boxes.areas_N[rows].tolist(),
            "iscrowd": boxes.is_crowd_N[rows].astype(int).tolist(),
        },
    }


def shortest_xywh(boxes_N4: NDArray[np.float32]) -> NDArray[np.float64]:
    """Left, top, width and height with as few decimals as give the same corners when they are read again."""
    left_N2, right_N2 = boxes_N4[:, :2].astype(float), boxes_N4[:, 2:].astype(float)
    exact_N4 = np.concatenate([left_N2, right_N2 - left_N2], axis=1)
    result_N4 = exact_N4.copy()
    is_open_N = np.ones(len(boxes_N4), dtype=bool)
    for decimals in range(_MOST_DECIMALS + 1):
        short_N4 = np.round(exact_N4, decimals)
        corners_N4 = np.concatenate([short_N4[:, :2], short_N4[:, :2] + short_N4[:, 2:]], axis=1)
        fits_N = is_open_N & (corners_N4.astype(np.float32) == boxes_N4).all(axis=1)
        result_N4[fits_N] = short_N4[fits_N]
        is_open_N &= ~fits_N
    return result_N4


def _schema(classes: DetectionClasses, picture_ids: Sequence[object]) -> pa.Schema:
    id_type = pa.int64() if all(isinstance(own, int) for own in picture_ids) else pa.string()
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("image_id", id_type),
            ("width", pa.int64()),
            ("height", pa.int64()),
            (
                "objects",
                pa.struct(
                    [
                        ("bbox", pa.list_(pa.list_(pa.float64(), 4))),
                        ("category", pa.list_(pa.int64())),
                        ("area", pa.list_(pa.float64())),
                        ("iscrowd", pa.list_(pa.int64())),
                    ]
                ),
            ),
        ]
    )
    ours = {"box_format": "xywh", "category_ids": list(classes.ids)}
    features = _features(classes.names, "int64" if id_type == pa.int64() else "string")
    return schema.with_metadata(
        {"huggingface": json.dumps({"info": {"features": features}}), METADATA: json.dumps(ours)}
    )


def _features(class_names: Sequence[str], id_type: str) -> dict[str, Any]:
    def value(dtype: str) -> dict[str, str]:
        return {"dtype": dtype, "_type": "Value"}

    def values(feature: dict[str, Any], **length: int) -> dict[str, Any]:
        return {"feature": feature, **length, "_type": "List"}

    return {
        "image": {"_type": "Image"},
        "image_id": value(id_type),
        "width": value("int64"),
        "height": value("int64"),
        "objects": {
            "bbox": values(values(value("float64"), length=4)),
            "category": values({"names": list(class_names), "_type": "ClassLabel"}),
            "area": values(value("float64")),
            "iscrowd": values(value("int64")),
        },
    }
