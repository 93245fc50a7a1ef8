"""Columns of a Parquet data set in the Hugging Face layout, checked the same way in memory and streamed.

The layout: a column `image` or `img` of struct<bytes, path>, a column of integer labels, and the names of the
classes as JSON in the schema's metadata.
"""

# Shapes: N rows.

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage
from raynas.errors import DataError, did_you_mean
from raynas.files import parse_json

_IMAGE_COLUMNS = ("image", "img")


def check_label_column(file: str | Path, schema: pa.Schema, label_column: str) -> None:
    """Raises DataError unless the schema has the label column and it holds integers."""
    if label_column not in schema.names:
        raise DataError(
            f"{file} has no column {label_column!r}.{did_you_mean(label_column, schema.names)} Its columns: "
            f"{', '.join(schema.names)}. Set label_column (in a search: data.label_column) to the one that "
            "holds the class indexes."
        )
    kind = _types_of(schema)[label_column]
    if not pa.types.is_integer(kind):
        raise DataError(
            f"The label column {label_column!r} of {file} holds values of type {kind}; integers from 0 are "
            f"allowed. Columns: {', '.join(schema.names)}. Convert it, or set label_column (in a search: "
            "data.label_column) to another."
        )


def find_image_column(file: str | Path, schema: pa.Schema, *, allow_plain: bool) -> str:
    """Path of the encoded images within the schema: 'image.bytes' of a struct, or 'image' of plain bytes.

    Args:
        allow_plain: accept a column of bytes that are in no struct.
    Raises:
        DataError: there is no such column.
    """
    kinds = _types_of(schema)
    for column in _IMAGE_COLUMNS:
        if column in kinds and _is_struct_with_bytes(kinds[column]):
            return f"{column}.bytes"
        if column in kinds and allow_plain and _is_bytes(kinds[column]):
            return column
    listing = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    allowed = "struct<bytes: binary, path: string>" + (" or binary" if allow_plain else "")
    raise DataError(
        f"{file} has no image column. Allowed is 'image' or 'img' of type {allowed}; its columns: {listing}. "
        "Write the images in the Hugging Face layout."
    )


def _types_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    # Not schema.field(name): it fails where a damaged or odd file has two columns of one name.
    return dict(zip(schema.names, schema.types, strict=True))


def _is_struct_with_bytes(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    return _is_bytes(kind.field("bytes").type)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def class_names_in(schema: pa.Schema, label_column: str) -> tuple[str, ...] | None:
    """Names of the ClassLabel feature in the schema's Hugging Face metadata; None if there are none."""
    try:
        names = parse_json(schema.metadata[b"huggingface"])["info"]["features"][label_column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    is_listing = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if is_listing else None


def common_class_names(
    names_of_files: Iterable[tuple[str | Path, tuple[str, ...] | None]],
) -> tuple[str, ...] | None:
    """The class names that all files of a data set have; None if none of them has names.

    Args:
        names_of_files: at least one file with its class names.
    Raises:
        DataError: two files differ.
    """
    (first_file, first_names), *others = names_of_files
    for file, names in others:
        if names != first_names:
            raise DataError(
                f"{first_file} and {file} have different class names in their Hugging Face metadata, so they "
                "are not parts of one data set. Use the files of one data set alone."
            )
    return first_names


def checked_labels(
    labels: pa.Array | pa.ChunkedArray, *, file: str | Path, first_row: int = 0, num_classes: int | None
) -> NDArray[np.int64]:
    """The labels as an array.

    Args:
        labels: integers of any width.
        first_row: number of the first label's row in the file, for messages.
        num_classes: None means that it is not known yet, so that any label from 0 is right.
    Raises:
        DataError: a label is null or out of range; names its row.
    """
    # Nulls become zeros for the conversion: an integer column with nulls would become floating-point numbers.
    labels_N: NDArray[np.int64] = np.asarray(labels.fill_null(0)).astype(np.int64)
    is_bad_N = np.asarray(labels.is_null()) | (labels_N < 0)
    if num_classes is not None:
        is_bad_N |= labels_N >= num_classes
    if is_bad_N.any():
        row = int(is_bad_N.argmax())
        label = labels[row].as_py()
        allowed = "integers from 0" if num_classes is None else f"0 to {num_classes - 1}"
        raise DataError(
            f"Row {first_row + row} (counted from 0) of {file} has the label "
            f"{'null' if label is None else label}; allowed are {allowed}. Correct or remove the row; an "
            "unlabelled test set can't be used."
        )
    return labels_N


def image_of_row(content: bytes | None, *, file: str | Path, row: int) -> EncodedImage:
    """The encoded image of a row, counted from 0 within the file; DataError if the row has none."""
    if content is None:
        raise DataError(
            f"Row {row} (counted from 0) of {file} has no image bytes in its image column. Images must lie "
            "in the file itself: write it with the images embedded, or remove the row."
        )
    return EncodedImage(Path(file), row, content)
