"""Small data sets on disk for the tests of raynas.data.stream. The colour of an image encodes its number."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("cat", "dog", "owl")


def picture_bytes(number: int = 0, *, size: int = 8, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    colour = (number % 256, number // 256, 0)
    Image.new("RGB", (size, size), colour).save(stream, kind)
    return stream.getvalue()


def number_of(pixels_HWC: np.ndarray) -> int:
    return int(pixels_HWC[0, 0, 0]) + 256 * int(pixels_HWC[0, 0, 1])


def write_shard(
    path: Path,
    numbers: Sequence[int],
    *,
    classes: Sequence[str] | None = CLASSES,
    rows_per_group: int = 5,
    column: str = "image",
    contents: Sequence[bytes | None] | None = None,
    labels: Sequence[int | None] | None = None,
    is_plain: bool = False,
) -> Path:
    """Writes a shard. Image `number` has the class number % 3 unless labels are given."""
    contents = contents or [picture_bytes(number) for number in numbers]
    cells = contents if is_plain else [{"bytes": content, "path": None} for content in contents]
    kind = pa.binary() if is_plain else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = labels or [number % len(CLASSES) for number in numbers]
    table = pa.table({"label": pa.array(labels, pa.int64()), column: pa.array(cells, kind)})
    if classes is not None:
        features = {"label": {"names": list(classes), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def claim_rows(shard: Path, num_rows: int, *, in_all: bool = False) -> None:
    """Makes the footer declare `num_rows` rows for the first row group, or for the file if `in_all`."""

    def count(metadata: pq.FileMetaData) -> int:
        return int(metadata.num_rows if in_all else metadata.row_group(0).num_rows)

    content = shard.read_bytes()
    actual = count(pq.read_metadata(shard))
    # An i64 field in Thrift's compact protocol whose id is one more than the last one's, zigzag encoded.
    field, claim = (bytes([0x16, ((2 * number) ^ (number >> 63)) & 0xFF]) for number in (actual, num_rows))
    for place in range(len(content)):
        if content.startswith(field, place):
            changed = content[:place] + claim + content[place + 2 :]
            if count(pq.read_metadata(io.BytesIO(changed))) == num_rows:
                shard.write_bytes(changed)
                return
    raise AssertionError("the footer has no such number")


def write_shards(folder: Path, *, num_train: int = 40, num_validation: int = 13) -> Path:
    """Writes shards of 17 rows in row groups of 5; numbers continue from training to validation."""
    starts = range(0, num_train, 17)
    for index, start in enumerate(starts):
        name = f"train-{index:05}-of-{len(starts):05}.parquet"
        write_shard(folder / "data" / name, range(start, min(start + 17, num_train)))
    if num_validation:
        numbers = range(num_train, num_train + num_validation)
        write_shard(folder / "data" / "validation-00000-of-00001.parquet", numbers)
    return folder


def write_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
