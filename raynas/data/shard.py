"""One Parquet file of a data set: its columns, its labels and the encoded images of its row groups."""

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
from raynas.data.parquet_columns import _check_label_column, _image_column, names_of_classes
from raynas.errors import DataError


@dataclass(frozen=True, slots=True)
class RowGroup:
    """The unit in which Parquet is read."""

    file: Path
    image_column: str
    index: int
    first_row: int
    num_rows: int

    def read(self, rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """Encoded images of these rows, counted within the group.

        Raises:
            DataError: the file is corrupt, or a row has no bytes.
        """
        with _opened(self.file) as parquet:
            column = parquet.read_row_group(self.index, columns=[f"{self.image_column}.bytes"]).column(0)
            if len(column) != self.num_rows:
                raise DataError(
                    f"{self.file}, row group {self.index}: the file says that it has {self.num_rows} rows, "
                    f"and holds {len(column)} images. It is damaged: write or download it again."
                )
            return [self._image(column[int(row)].as_py(), int(row)) for row in rows_N]

    def _image(self, value: dict[str, bytes] | None, row: int) -> EncodedImage:
        content = value["bytes"] if value else None
        row += self.first_row
        if content is None:
            raise DataError(
                f"Row {row} (counted from 0) of {self.file} has no image bytes in column "
                f"{self.image_column!r}. Images must lie in the file itself: write it with the "
                "images embedded, or remove the row."
            )
        return EncodedImage(self.file, row, content)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A file whose labels are read and checked."""

    file: Path
    labels_N: NDArray[np.int64]
    class_names: tuple[str, ...] | None
    row_groups: tuple[RowGroup, ...]


def open_shard(file: Path, *, label_column: str) -> Shard:
    """Reads schema and labels.

    Raises:
        DataError: not a Parquet file, a column is missing or of the wrong type, or a label is out of range.
    """
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
        _check_label_column(file, schema, label_column)
        image_column = _image_column(file, schema)
        class_names = names_of_classes(schema, label_column)
        labels = parquet.read(columns=[label_column]).column(0)
        row_groups = _row_groups(file, image_column, parquet.metadata)
        num_rows = sum(group.num_rows for group in row_groups)
        if len(labels) != num_rows or any(group.num_rows < 0 for group in row_groups):
            raise DataError(
                f"{file} says that its row groups have {num_rows} rows, and holds {len(labels)} labels. "
                "It is damaged: write or download it again."
            )
        return Shard(
            file=file,
            labels_N=_checked_labels(file, labels, class_names),
            class_names=class_names,
            row_groups=row_groups,
        )


def _row_groups(file: Path, image_column: str, metadata: pq.FileMetaData) -> tuple[RowGroup, ...]:
    groups: list[RowGroup] = []
    first_row = 0
    for index in range(metadata.num_row_groups):
        num_rows = metadata.row_group(index).num_rows
        groups.append(RowGroup(file, image_column, index, first_row, num_rows))
        first_row += num_rows
    return tuple(groups)


def _checked_labels(file: Path, labels: pa.ChunkedArray, names: tuple[str, ...] | None) -> NDArray[np.int64]:
    is_null_N = labels.is_null().to_numpy()
    if is_null_N.any():
        raise _bad_label(file, int(is_null_N.argmax()), "null", names)
    labels_N: NDArray[np.int64] = labels.to_numpy().astype(np.int64)
    is_bad_N = labels_N < 0 if names is None else (labels_N < 0) | (labels_N >= len(names))
    if is_bad_N.any():
        row = int(is_bad_N.argmax())
        raise _bad_label(file, row, str(labels_N[row]), names)
    return labels_N


def _bad_label(file: Path, row: int, label: str, names: tuple[str, ...] | None) -> DataError:
    allowed = f"0 to {len(names) - 1}, as there are {len(names)} class names" if names else "integers from 0"
    return DataError(
        f"Row {row} (counted from 0) of {file} has the label {label}; allowed are {allowed}. "
        "Correct or remove the row; an unlabelled test set can't be used."
    )


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} can't be read as Parquet: {error}. Write or download it again.") from error
