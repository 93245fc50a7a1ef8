"""Looks at a streamed data set before any worker starts, for what would end a training hours later.

Of Parquet shards it reads every label, a small request per row group: 13,000 for ImageNet's 1.28 million
images in groups of 100. Of training shards in a bucket, it stops after _MAX_GROUPS row groups. It decodes
every picture of a small split, and of a larger one the first picture of each shard or class folder and some
in between, within the bounds below. For such a picture a page of Parquet is read, at most a row group: in
groups of 100, ImageNet's 358 pictures cost up to 4 GB, and 2 GB in a bucket: 1 to 3 % of what an epoch reads.
"""

# Shapes: N images, by their number in the data set, from 0.

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from raynas.data.decode import EncodedImage
from raynas.data.label_files import check_no_label_files
from raynas.data.layout import Split
from raynas.data.parquet_columns import checked_labels, image_of_row
from raynas.data.stream.images import ImageSet
from raynas.data.stream.index import ImageIndex
from raynas.data.stream.location import LOCAL, filesystem_of, reason_of
from raynas.data.stream.shards import RowRange, ShardImages
from raynas.data.stream.transforms import Transform
from raynas.data.stream.tree import TreeImages
from raynas.errors import DataError

_SMALL_SPLIT = 512
"""Largest number of images of a split that are all decoded."""
_MAX_SHARDS = 512
_MAX_REMOTE_SHARDS = 128
_MAX_CLASS_FOLDERS = 1024
_MORE_PICTURES = 64
"""Pictures of a large split that are decoded besides the first ones of its shards or class folders."""
_MAX_GROUPS = 16_384
"""Row groups of a bucket's training shards whose labels are read."""
_THREADS = 16

_logger = logging.getLogger(__name__)


class _Look(NamedTuple):
    """A check of a file or a part of it, which raises DataError."""

    file: str
    check: Callable[[], object]


def preflight(
    index: ImageIndex, *, train: Transform, validation: Transform, skip_broken: bool = False
) -> ImageIndex:
    """The data set, once its labels and some of its pictures are known to be sound; for the cost see above.

    Args:
        train: how training images will be transformed, because some pictures suit one transform alone.
        validation: how validation images will be transformed.
        skip_broken: leave out shards with a wrong label or picture, with a warning, instead of raising.
    Raises:
        DataError: a label is null, negative or beyond the classes, a row has no bytes, a picture can't be
            decoded or transformed, or no sound shard is left. It names the file, the row and what to do.
    """
    train_images = _sound(index.train, "train", train, skip_broken=skip_broken)
    held_out = index.validation
    if held_out is not None:
        held_out = _sound(held_out, "validation", validation, skip_broken=skip_broken)
    return replace(index, train=train_images, validation=held_out)


def _sound(images: ImageSet, split: Split, transform: Transform, *, skip_broken: bool) -> ImageSet:
    if isinstance(images, ShardImages):
        broken = _broken([*_label_looks(images, split), *_row_looks(images, transform)])
        return _without(images, broken, skip_broken=skip_broken) if broken else images
    assert isinstance(images, TreeImages)
    broken = _broken(_file_looks(images, transform))
    if broken:
        raise _first_of(broken)
    return images


def _broken(looks: Sequence[_Look]) -> dict[str, DataError]:
    """The first error of each file that has one, in the order of `looks`."""
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            errors = list(threads.map(_error_of, looks))
        except BaseException:
            # After Ctrl-C, what has not begun need not be done.
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    broken: dict[str, DataError] = {}
    for look, error in zip(looks, errors, strict=True):
        if error is not None:
            broken.setdefault(look.file, error)
    return broken


def _error_of(look: _Look) -> DataError | None:
    try:
        look.check()
    except DataError as error:
        return error
    return None


def _first_of(broken: dict[str, DataError], advice: str = "") -> DataError:
    first, *others = broken.values()
    more = f" So it is with {len(others)} more files." if others else ""
    return DataError(f"{first}{more}{advice}")


def _without(images: ShardImages, broken: dict[str, DataError], *, skip_broken: bool) -> ShardImages:
    """The images of the other shards; DataError if broken shards may not be left out, or all are broken."""
    ranges = tuple(rows for rows in images.ranges if rows.file not in broken)
    if not ranges:
        raise _first_of(broken)
    if not skip_broken:
        raise _first_of(broken, " data.skip_broken=true leaves such shards out.")
    for error in broken.values():
        _logger.warning("shard left out  reason=%s", error)
    counts_P = np.array([rows.num_rows for rows in ranges], dtype=np.int64)
    return replace(
        images, ranges=ranges, starts_P=np.cumsum(counts_P) - counts_P, num_images=int(counts_P.sum())
    )


def _label_looks(images: ShardImages, split: Split) -> list[_Look]:
    is_bounded = split == "train" and images.uri != LOCAL
    # The parts of a large row group count once.
    groups = [rows for rows in images.ranges if rows.first_row == 0]
    groups = groups[:_MAX_GROUPS] if is_bounded else groups
    parts = itertools.groupby(groups, lambda rows: rows.file)
    return [
        _Look(file, partial(_check_labels, images, split, file, [rows.row_group for rows in rows_of_file]))
        for file, rows_of_file in parts
    ]


def _check_labels(images: ShardImages, split: Split, file: str, row_groups: list[int]) -> None:
    columns = [images.label_column]
    with _opened(images.uri, file) as parquet:
        labels = parquet.read_row_groups(row_groups, columns=columns, use_threads=False).column(0)
    try:
        checked_labels(labels, file=file, num_classes=images.num_classes)
    except DataError as error:
        if split == "train":
            raise DataError(f"{error} The column is {images.label_column!r}.") from error
        raise _no_validation(error, images, file, labels) from error


def _no_validation(error: DataError, images: ShardImages, file: str, labels: pa.ChunkedArray) -> DataError:
    """The error for a wrong label in what was taken for validation, often a test set without labels."""
    column, values = images.label_column, pc.unique(labels).to_pylist()
    advice = (
        "Put a file with labels in its place, named validation or val; or take it out of the folder and "
        "train in memory (data.streamed=false), which holds out some training images."
    )
    value = values[0]
    if len(values) > 1 or (value is not None and value >= 0):
        return DataError(f"{error} The column is {column!r}, of the validation images. {advice}")
    return DataError(
        f"{file} can't be used for validation, because it has no labels: column {column!r} is "
        f"{'null' if value is None else value} in all {len(labels):,} rows from row 0 on; allowed are 0 to "
        f"{images.num_classes - 1}. {advice}"
    )


def _row_looks(images: ShardImages, transform: Transform) -> list[_Look]:
    """Decodes the pictures of some rows."""
    if images.num_images <= _SMALL_SPLIT:
        pieces = zip(images.ranges, images.pieces(None), strict=True)
        return [_Look(rows.file, partial(_decode_piece, images, piece, transform)) for rows, piece in pieces]
    # Only the first row of a row group: to read a later one, all rows before it would be read.
    begins = [place for place, rows in enumerate(images.ranges) if rows.first_row == 0]
    shards = [
        next(places) for _, places in itertools.groupby(begins, lambda place: images.ranges[place].file)
    ]
    most = _MAX_SHARDS if images.uri == LOCAL else _MAX_REMOTE_SHARDS
    places = sorted({*_spread(shards, most), *_spread(begins, _MORE_PICTURES)})
    rows_of_places = [images.ranges[place] for place in places]
    return [_Look(rows.file, partial(_decode_first, images.uri, rows, transform)) for rows in rows_of_places]


def _file_looks(images: TreeImages, transform: Transform) -> list[_Look]:
    """Decodes some of the files of class folders."""
    numbers = list(range(images.num_images))
    if images.num_images > _SMALL_SPLIT:
        folders = np.unique(images.labels_N, return_index=True)[1].tolist()
        numbers = sorted({*_spread(folders, _MAX_CLASS_FOLDERS), *_spread(numbers, _MORE_PICTURES)})
    return [
        _Look(images.files[number], partial(_decode_file, images, number, transform)) for number in numbers
    ]


def _decode_file(images: TreeImages, number: int, transform: Transform) -> None:
    check_no_label_files([images.files[number]], partial(_exists, images.uri))
    _decode_piece(images, np.array([number]), transform)


def _decode_piece(images: ImageSet, numbers_N: NDArray[np.int64], transform: Transform) -> None:
    _decode(images.piece(numbers_N).read().images, transform)


def _exists(uri: str, file: str) -> bool:
    return bool(filesystem_of(uri).get_file_info(file).type != fs.FileType.NotFound)


def _decode(images: Sequence[EncodedImage], transform: Transform) -> None:
    for encoded in images:
        transform(encoded, np.random.default_rng(0))


def _decode_first(uri: str, rows: RowRange, transform: Transform) -> None:
    """Decodes the first image of a row group; the others aren't read where its pages allow that."""
    columns = [rows.image_column]
    with _opened(uri, rows.file) as parquet:
        batches = parquet.iter_batches(1, row_groups=[rows.row_group], columns=columns, use_threads=False)
        batch = next(batches, None)
    if batch is None or not batch.num_rows:
        raise DataError(
            f"Row group {rows.row_group} of {rows.file} has fewer rows than it declares. It is damaged: "
            "write or download the shard again."
        )
    images = batch.column(0)
    content = (images.field("bytes") if pa.types.is_struct(images.type) else images)[0].as_py()
    _decode([image_of_row(content, file=rows.file, row=rows.first_row_in_file)], transform)


@contextmanager
def _opened(uri: str, file: str) -> Iterator[pq.ParquetFile]:
    try:
        with filesystem_of(uri).open_input_file(file) as content, pq.ParquetFile(content) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} can't be read: {reason_of(error)}. Write or download the shard again."
        ) from error


def _spread(items: Sequence[int], most: int) -> list[int]:
    """At most `most` of the items, evenly spread, with the first and the last."""
    return [items[place] for place in np.unique(np.linspace(0, len(items) - 1, most).astype(int))]
