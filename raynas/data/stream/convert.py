"""Writes images as Parquet shards in the Hugging Face layout, without re-encoding them.

Images are written in random order, the same each time, so that the classes are mixed in every shard. Shards
get their final names after the last one is written, so that an interrupted conversion leaves no files behind.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.data.decode import check_size, opened_image
from raynas.data.layout import Split
from raynas.data.source_images import SourceImage
from raynas.data.stream.location import reason_of
from raynas.data.stream.rows import Row, row_order
from raynas.errors import DataError

ROWS_PER_GROUP = 128
"""Images per row group: of ImageNet 14 MB, one request to an object store, or 19 MB as 224 x 224 pixels."""

_MAX_THREADS = 8
_UNFINISHED = ".unfinished"

ReportWritten = Callable[[int], None]
"""Called with the number of images written since the last call, from several threads."""


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A file to be written, with its images in order."""

    name: str
    members: list[SourceImage]


def convert_to_shards(
    splits: Mapping[Split, Sequence[SourceImage]],
    out: Path,
    *,
    class_names: Mapping[str, str],
    shard_bytes: int,
    has_test_set: bool = False,
    report: ReportWritten = lambda num_images: None,
) -> list[Path]:
    """Writes train-00000-of-00042.parquet, ..., validation-00000-of-00002.parquet, ... and classes.json.

    Args:
        out: a folder that is empty or doesn't exist yet.
        class_names: names of the classes by their folders, in the order of the labels. If all are empty, the
            classes have numbers alone, and neither the shards nor classes.json name them.
        shard_bytes: approximate size of the images of a shard.
        has_test_set: what is held out is a test set, so that its shards are named test.
        report: see ReportWritten.
    Returns:
        Paths of the shards.
    Raises:
        DataError: `out` is not empty or can't be written, or a member is no image.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    shards = [
        shard
        for split in splits
        for shard in plan_shards(
            "test" if has_test_set and split == "validation" else split, splits[split], shard_bytes
        )
    ]
    is_named = any(class_names.values())
    schema = _schema(list(class_names.values()) if is_named else None)
    with unfinished_folder(out) as folder:
        write = functools.partial(_write, schema=schema, labels=labels, report=report)
        in_threads([functools.partial(write, shard, folder / shard.name) for shard in shards])
        if is_named:
            (folder / "classes.json").write_text(json.dumps(dict(class_names), indent=1) + "\n")
    return [out / shard.name for shard in shards]


@contextmanager
def unfinished_folder(out: Path) -> Iterator[Path]:
    """A folder within `out` whose files move to `out` once all are written, and else are removed.

    Raises:
        DataError: `out` is not empty or can't be written.
    """
    check_empty(out)
    unfinished = out / _UNFINISHED
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        for file in sorted(unfinished.iterdir()):
            file.rename(out / file.name)
    except (OSError, pa.ArrowException, UnicodeEncodeError) as error:
        raise DataError(
            f"{out} can't be written: {reason_of(error)}. Choose a folder with enough space and a UTF-8 name."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_empty(out: Path) -> None:
    """Raises DataError unless `out` is an empty folder or doesn't exist."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(
            f"{out} exists and is not an empty folder. Nothing is overwritten: choose another folder."
        )


def plan_shards(name: str, members: Sequence[SourceImage], shard_bytes: int) -> list[PlannedShard]:
    """Distributes the members over shards of nearly equal size, in random order."""
    rng = np.random.default_rng(0)
    rows = [member for member in members if isinstance(member, Row)]
    order = np.array(row_order(rows, rng)) if rows else rng.permutation(len(members))
    parts = shard_parts(name, [member.num_bytes for member in members], shard_bytes, order)
    return [PlannedShard(name, [members[index] for index in indexes]) for name, indexes in parts.items()]


def shard_parts(
    name: str, num_bytes: Sequence[int], shard_bytes: int, order: NDArray[np.int64] | None = None
) -> dict[str, list[int]]:
    """Names of the shards, with the indexes of the images in each.

    Args:
        name: of the split, with which the names of the shards begin.
        num_bytes: size of each image.
        order: indexes of the images as the shards have them; None for a random order, the same each time.
    """
    if order is None:
        order = np.random.default_rng(0).permutation(len(num_bytes))
    bytes_before = np.cumsum([num_bytes[index] for index in order]) - num_bytes[order[0]]
    num_shards = max(1, round(bytes_before[-1] / shard_bytes))
    shard_of = np.minimum(bytes_before * num_shards // (bytes_before[-1] + 1), num_shards - 1)
    return {
        f"{name}-{number:05}-of-{num_shards:05}.parquet": order[shard_of == number].tolist()
        for number in range(num_shards)
    }


def in_threads(tasks: Sequence[Callable[[], object]]) -> None:
    """Runs all tasks; the first error ends them, and is raised."""
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        writing = [threads.submit(task) for task in tasks]
        try:
            for written in writing:
                written.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _write(
    shard: PlannedShard, path: Path, schema: pa.Schema, labels: Mapping[str, int], report: ReportWritten
) -> None:
    # JPEG bytes don't compress any further, and no image repeats, which a dictionary would need.
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=["label"]
    ) as file:
        for first in range(0, len(shard.members), ROWS_PER_GROUP):
            members = shard.members[first : first + ROWS_PER_GROUP]
            cells = [{"bytes": _checked(member), "path": member.name} for member in members]
            numbers = [labels[member.class_name] for member in members]
            file.write_table(pa.table([cells, numbers], schema=schema))
            report(len(members))


def _checked(member: SourceImage) -> bytes:
    encoded = member.encoded()
    # Only the header is read: decoding every image of ImageNet would take hours.
    with opened_image(encoded) as image:
        check_size(image.size, encoded)
    assert encoded.content is not None
    return encoded.content


def _schema(class_names: list[str] | None) -> pa.Schema:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    label: dict[str, object] = {"dtype": "int64", "_type": "Value"}
    if class_names is not None:
        label = {"names": class_names, "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": label}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([("image", kind), ("label", pa.int64())], metadata=metadata)
