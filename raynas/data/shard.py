"""One Parquet file of a data set in memory: its labels and the encoded images of its row groups."""

# Shapes: N rows.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage
from raynas.data.parquet_columns import (
    Columns,
    LabelCounts,
    check_label_column,
    checked_labels,
    class_names_in,
    count_labels,
    find_image_column,
    image_of_row,
)
from raynas.errors import DataError


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A group of rows, which is the smallest part of a Parquet file that is read at once."""

    file: Path
    image_column: str
    index: int
    first_row: int
    num_rows: int

    def read(self, rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """Encoded images of these rows, which are counted within the group.

        Raises:
            DataError: the file is corrupt, or a row has no bytes.
        """
        with _opened(self.file) as parquet:
            column = parquet.read_row_group(self.index, columns=[self.image_column]).column(0)
            if len(column) != self.num_rows:
                raise DataError(
                    f"Row group {self.index} of {self.file} should have {self.num_rows} rows, but has "
                    f"{len(column)} images. The file is damaged: write or download it again."
                )
            return [self._image(column[int(row)].as_py(), int(row)) for row in rows_N]

    def _image(self, value: dict[str, bytes] | bytes | None, row: int) -> EncodedImage:
        content = value["bytes"] if isinstance(value, dict) else value
        return image_of_row(content, file=self.file, row=self.first_row + row)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A file whose labels have been read and checked."""

    file: Path
    labels_N: NDArray[np.int64]
    class_names: tuple[str, ...] | None
    row_groups: tuple[RowGroup, ...]


def open_shard(file: Path, columns: Columns) -> Shard:
    """Reads the schema and the labels of a file.

    Raises:
        DataError: not a Parquet file, a column is missing or of the wrong type, or a label is out of range.
    """
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
        check_label_column(file, schema, columns.label)
        image_column = find_image_column(file, schema, columns.image)
        class_names = class_names_in(schema, columns.label)
        labels = parquet.read(columns=[columns.label]).column(0)
        row_groups = _row_groups(file, image_column, parquet.metadata)
        num_rows = sum(group.num_rows for group in row_groups)
        if len(labels) != num_rows or any(group.num_rows < 0 for group in row_groups):
            raise DataError(
                f"The row groups of {file} should have {num_rows} rows, but there are {len(labels)} labels. "
                "The file is damaged: write or download it again."
            )
        return Shard(
            file=file,
            labels_N=checked_labels(
                labels, file=file, num_classes=None if class_names is None else len(class_names)
            ),
            class_names=class_names,
            row_groups=row_groups,
        )


def count_classes(file: Path, columns: Columns) -> LabelCounts:
    """The labels of a file that isn't read itself; some of them may be none that can be used.

    Raises:
        DataError: not a Parquet file, or the label column is missing or of the wrong type.
    """
    with _opened(file) as parquet:
        check_label_column(file, parquet.schema_arrow, columns.label)
        labels = parquet.read(columns=[columns.label]).column(0)
        class_names = class_names_in(parquet.schema_arrow, columns.label)
        return LabelCounts(len(labels), count_labels(labels), class_names)


def _row_groups(file: Path, image_column: str, metadata: pq.FileMetaData) -> tuple[RowGroup, ...]:
    groups: list[RowGroup] = []
    first_row = 0
    for index in range(metadata.num_row_groups):
        num_rows = metadata.row_group(index).num_rows
        groups.append(RowGroup(file, image_column, index, first_row, num_rows))
        first_row += num_rows
    return tuple(groups)


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} can't be read as Parquet: {error}. Write or download it again.") from error
