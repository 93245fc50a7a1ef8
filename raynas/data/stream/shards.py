"""Streams Parquet shards in the Hugging Face layout: one row group, or a part of a large one, at a time.

Opening a data set reads only the footers and the labels, in threads, because a thousand shards in an object
store are a thousand requests.
"""

# Shapes: N images, by their number in the data set, from 0; P pieces.

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.data.classes import warn_of_empty_classes
from raynas.data.decode import EncodedImage
from raynas.data.parquet_columns import (
    Columns,
    LabelCounts,
    checked_labels,
    common_class_names,
    image_of_row,
)
from raynas.data.stream.footer import Footer, read_footer
from raynas.data.stream.images import PIECE_IMAGES, EncodedPiece
from raynas.data.stream.location import filesystem_of, reason_of
from raynas.errors import DataError

_THREADS = 32
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RowRange:
    """Consecutive rows of one row group."""

    file: str
    image_column: str
    row_group: int
    first_row: int
    num_rows: int
    first_row_in_file: int


@dataclass(frozen=True, slots=True, eq=False)
class ShardImages:
    """An ImageSet of the rows of all shards, in order."""

    uri: str
    ranges: tuple[RowRange, ...]
    starts_P: NDArray[np.int64]
    num_images: int
    num_classes: int
    class_names: tuple[str, ...] | None
    label_column: str
    counted: LabelCounts

    def pieces(self, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
        """See ImageSet."""
        order_P = np.arange(len(self.ranges)) if rng is None else rng.permutation(len(self.ranges))
        return [self.starts_P[piece] + np.arange(self.ranges[piece].num_rows) for piece in order_P]

    @property
    def image_column(self) -> str:
        """Path of the images within the schema of the first shard."""
        return self.ranges[0].image_column

    def encoded(self, number: int) -> EncodedImage:
        """The image of one number, for which its row group is read; DataError if it can't be."""
        return self.piece(np.array([number])).read().images[0]

    def piece(self, numbers_N: NDArray[np.int64]) -> ShardPiece:
        """See ImageSet."""
        place = int(np.searchsorted(self.starts_P, numbers_N[0], side="right")) - 1
        rows, rows_N = self.ranges[place], numbers_N - self.starts_P[place]
        assert rows_N.min() >= 0 and rows_N.max() < rows.num_rows, "images of several pieces"
        return ShardPiece(self.uri, rows, rows_N, self.label_column, self.num_classes)


@dataclass(frozen=True, slots=True, eq=False)
class ShardPiece:
    """A Piece of some rows of a range; `uri` as in Location."""

    uri: str
    range: RowRange
    rows_N: NDArray[np.int64]
    label_column: str
    num_classes: int

    def read(self) -> EncodedPiece:
        """See Piece."""
        rows = self.range
        images, labels = read_columns(self.uri, rows, [rows.image_column, self.label_column])
        labels_N = checked_labels(
            labels, file=rows.file, first_row=rows.first_row_in_file, num_classes=self.num_classes
        )
        return EncodedPiece(images_of_rows(rows, images, self.rows_N), labels_N[self.rows_N])


def read_columns(uri: str, rows: RowRange, names: Sequence[str]) -> list[pa.Array]:
    """Reads some columns of a range of rows.

    Args:
        uri: as in Location.
        names: of columns, or of fields as 'image.bytes', of which the whole struct is returned.
    Raises:
        DataError: the file can't be read, or is damaged.
    """
    try:
        with (
            filesystem_of(uri).open_input_file(rows.file) as file,
            pq.ParquetFile(file, pre_buffer=True) as parquet,
        ):
            table = parquet.read_row_group(rows.row_group, columns=list(names), use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"Row group {rows.row_group} of {rows.file} can't be read: {reason_of(error)}. "
            "Write or download the shard again."
        ) from error
    # By name, because columns come in the order of the file and not in that of `names`.
    columns = [table.column(name.partition(".")[0]).combine_chunks() for name in names]
    columns = [column.slice(rows.first_row, rows.num_rows) for column in columns]
    if any(len(column) != rows.num_rows for column in columns):
        raise DataError(
            f"Row group {rows.row_group} of {rows.file} has fewer rows than it declares. "
            "It is damaged: write or download the shard again."
        )
    return columns


def images_of_rows(rows: RowRange, images: pa.Array, rows_N: NDArray[np.int64]) -> list[EncodedImage]:
    """The encoded images of some rows of a range, from its image column."""
    images = images.field("bytes") if pa.types.is_struct(images.type) else images
    contents = images.take(pa.array(rows_N)).to_pylist()
    return [
        image_of_row(content, file=rows.file, row=rows.first_row_in_file + int(row))
        for row, content in zip(rows_N, contents, strict=True)
    ]


def open_shards(uri: str, files: Sequence[str], columns: Columns, *, skip_broken: bool) -> ShardImages:
    """Opens shards as one split: reads the footers of all files.

    Args:
        uri: as in Location.
        skip_broken: skip files whose footer can't be read, with a warning.
    Raises:
        DataError: a file is broken, lacks a column or differs in its classes, or no file has rows.
    """
    footers = _read_footers(uri, files, columns, skip_broken=skip_broken)
    class_names = common_class_names((footer.file, footer.class_names) for footer in footers)
    ranges = tuple(
        part
        for footer in footers
        for part in row_ranges(footer.file, footer.image_column, footer.rows_of_groups)
    )
    if not ranges:
        raise DataError(
            f"{files[0]} and the {len(files) - 1} shards beside it have no rows. Use other shards."
        )
    counted = LabelCounts.together(
        LabelCounts(sum(footer.rows_of_groups), footer.labels or {}, class_names) for footer in footers
    )
    num_classes = max(counted.num_classes, 1)
    if class_names is None and num_classes <= counted.num_rows:
        warn_of_empty_classes(files[0], counted.counts, num_classes)
    counts_P = np.array([part.num_rows for part in ranges], dtype=np.int64)
    return ShardImages(
        uri=uri,
        ranges=ranges,
        starts_P=np.cumsum(counts_P) - counts_P,
        num_images=int(counts_P.sum()),
        num_classes=num_classes,
        class_names=class_names,
        label_column=columns.label,
        counted=counted,
    )


def _read_footers(uri: str, files: Sequence[str], columns: Columns, *, skip_broken: bool) -> list[Footer]:
    filesystem = filesystem_of(uri)
    with ThreadPoolExecutor(_THREADS) as threads:
        answers = list(threads.map(lambda file: read_footer(filesystem, file, columns), files))
    broken = [answer for answer in answers if isinstance(answer, DataError)]
    footers = [answer for answer in answers if isinstance(answer, Footer)]
    if broken and not (skip_broken and footers):
        others = f" {len(broken) - 1} more shards are broken too." if len(broken) > 1 else ""
        raise DataError(f"{broken[0]}{others}") from broken[0]
    for error in broken:
        _logger.warning("shard left out  reason=%s", error)
    return footers


def row_ranges(file: str, image_column: str, rows_of_groups: Sequence[int]) -> list[RowRange]:
    """The row groups of a shard, large ones in parts of at most PIECE_IMAGES rows."""
    ranges: list[RowRange] = []
    row_in_file = 0
    for group, num_rows in enumerate(rows_of_groups):
        # Parts of equal size: 1,000 rows become 500 and 500, not 512 and 488.
        num_parts = -(-num_rows // PIECE_IMAGES)
        edges = [num_rows * part // num_parts for part in range(num_parts + 1)] if num_rows else []
        for begin, end in itertools.pairwise(edges):
            ranges.append(RowRange(file, image_column, group, begin, end - begin, row_in_file + begin))
        row_in_file += num_rows
    return ranges
