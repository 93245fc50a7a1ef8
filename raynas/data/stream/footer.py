"""What the footer of one Parquet shard tells: row groups, columns and classes."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from raynas.data.parquet_columns import names_of_classes
from raynas.data.stream.location import reason_of
from raynas.errors import DataError, did_you_mean

_IMAGE_COLUMNS = ("image", "img")


@dataclass(frozen=True, slots=True)
class Footer:
    """A shard whose columns are checked; its rows are not read yet.

    Args:
        max_label: the largest, where there are no class names; else -1.
    """

    file: str
    image_column: str
    class_names: tuple[str, ...] | None
    max_label: int
    rows_of_groups: tuple[int, ...]


def read_footer(filesystem: fs.FileSystem, file: str, *, label_column: str) -> Footer | DataError:
    """The footer, or what is wrong with it if the file is broken: the caller may leave that file out.

    Raises:
        DataError: the file is sound, but has not the columns that it should; its neighbours won't either.
    """
    try:
        with filesystem.open_input_file(file) as content, pq.ParquetFile(content) as parquet:
            schema = parquet.schema_arrow
            _check_label_column(file, schema, label_column)
            class_names = names_of_classes(schema, label_column)
            return Footer(
                file=file,
                image_column=_image_column(file, schema),
                class_names=class_names,
                max_label=-1 if class_names else _max_label(parquet, label_column),
                rows_of_groups=_rows_of_groups(parquet.metadata, content.size()),
            )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        return DataError(
            f"The shard {file} can't be read as Parquet: {reason_of(error)}. Write or download it again, or "
            "leave such shards out with data.skip_broken=true."
        )


def _rows_of_groups(metadata: pq.FileMetaData, num_bytes: int) -> tuple[int, ...]:
    # Not by the columns' own numbers: of a damaged column Arrow ends the process when it is looked at.
    rows_of_groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    if min(rows_of_groups, default=0) < 0 or sum(rows_of_groups) != metadata.num_rows:
        listing = ", ".join(str(num_rows) for num_rows in rows_of_groups[:5])
        raise pa.ArrowInvalid(f"its row groups have {listing} rows, and it says {metadata.num_rows} in all")
    if metadata.num_rows > num_bytes:
        raise pa.ArrowInvalid(f"it says that it has {metadata.num_rows} rows, in {num_bytes} bytes")
    return rows_of_groups


def _check_label_column(file: str, schema: pa.Schema, label_column: str) -> None:
    if label_column not in schema.names:
        raise DataError(
            f"{file} has no column {label_column!r}.{did_you_mean(label_column, schema.names)} Its columns: "
            f"{', '.join(schema.names)}. Set label_column to the one that holds the class numbers."
        )
    kind = schema.field(label_column).type
    if not pa.types.is_integer(kind):
        raise DataError(
            f"The label column {label_column!r} of {file} holds values of type {kind}; integers from 0 are "
            "allowed. Convert it, or set label_column to another."
        )


def _image_column(file: str, schema: pa.Schema) -> str:
    for column in _IMAGE_COLUMNS:
        if column in schema.names and _holds_bytes(schema.field(column).type):
            return f"{column}.bytes" if pa.types.is_struct(schema.field(column).type) else column
    listing = ", ".join(f"{field.name}: {field.type}" for field in schema)
    raise DataError(
        f"{file} has no image column. Allowed is 'image' or 'img' of type struct<bytes: binary, path: "
        f"string> or binary; its columns: {listing}. Write the images in the Hugging Face layout."
    )


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _max_label(parquet: pq.ParquetFile, label_column: str) -> int:
    """From the labels themselves: statistics may lie, and Arrow ends the process over damaged ones."""
    return int(pc.max(parquet.read(columns=[label_column], use_threads=False).column(0)).as_py() or 0)
