"""Reads the footer of a Parquet shard, its row groups, columns and classes, and counts its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from raynas.data.parquet_columns import (
    Columns,
    check_label_column,
    class_names_in,
    count_labels,
    find_image_column,
)
from raynas.data.stream.location import reason_of
from raynas.errors import DataError


@dataclass(frozen=True, slots=True)
class Footer:
    """A shard whose columns have been checked, but whose images have not been read.

    Args:
        image_column: see find_image_column.
        labels: how often each label occurs; without those that can't be used. None if they can't be read.
    """

    file: str
    image_column: str
    class_names: tuple[str, ...] | None
    labels: Mapping[int, int] | None
    rows_of_groups: tuple[int, ...]


def read_footer(filesystem: fs.FileSystem, file: str, columns: Columns) -> Footer | DataError:
    """Reads the footer of a shard. The error of a broken file is returned: the caller may skip such a file.

    Raises:
        DataError: the file is intact but lacks a column. The other shards will lack it too, so that skipping
            doesn't help.
    """
    try:
        with filesystem.open_input_file(file) as content, pq.ParquetFile(content) as parquet:
            schema = parquet.schema_arrow
            check_label_column(file, schema, columns.label)
            class_names = class_names_in(schema, columns.label)
            return Footer(
                file=file,
                image_column=find_image_column(file, schema, columns.image),
                class_names=class_names,
                labels=_labels(parquet, columns.label, is_needed=class_names is None),
                rows_of_groups=checked_row_groups(parquet.metadata, content.size()),
            )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        return DataError(
            f"The shard {file} can't be read as Parquet: {reason_of(error)}. Write or download it again, or "
            "skip such shards with data.skip_broken=true."
        )


def checked_row_groups(metadata: pq.FileMetaData, num_bytes: int) -> tuple[int, ...]:
    """Number of rows of each row group.

    Args:
        num_bytes: size of the file.
    Raises:
        ArrowInvalid: the footer contradicts itself or the size of the file.
    """
    # Row groups only. The metadata of columns have the number of rows too, but Arrow ends the process when it
    # reads those of a damaged column.
    rows_of_groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    if min(rows_of_groups, default=0) < 0 or sum(rows_of_groups) != metadata.num_rows:
        listing = ", ".join(str(num_rows) for num_rows in rows_of_groups[:5])
        raise pa.ArrowInvalid(f"its row groups have {listing} rows, but {metadata.num_rows} are declared")
    if metadata.num_rows > num_bytes:
        raise pa.ArrowInvalid(f"it declares {metadata.num_rows} rows, but has only {num_bytes} bytes")
    return rows_of_groups


def _labels(parquet: pq.ParquetFile, label_column: str, *, is_needed: bool) -> Mapping[int, int] | None:
    """How often each label occurs.

    Args:
        is_needed: raise if the labels can't be read. Otherwise reading them in the training will tell why.
    """
    # Not from the footer's statistics: they may be wrong, and Arrow ends the process if they are damaged.
    try:
        return count_labels(parquet.read(columns=[label_column], use_threads=False).column(0))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        if is_needed:
            raise
        return None
