"""The columns of a data set in Parquet: images, labels and names of classes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from raynas.errors import DataError, did_you_mean
from raynas.files import parse_json

_IMAGE_COLUMNS = ("image", "img")


def _check_label_column(file: Path, schema: pa.Schema, label_column: str) -> None:
    if label_column not in schema.names:
        raise DataError(
            f"{file} has no column {label_column!r}.{did_you_mean(label_column, schema.names)} Its columns: "
            f"{', '.join(schema.names)}. Set data.label_column to the one that holds the class indexes."
        )
    kind = schema.types[schema.names.index(label_column)]
    if not pa.types.is_integer(kind):
        raise DataError(
            f"The label column {label_column!r} of {file} holds values of type {kind}; integers from 0 are "
            f"allowed. Columns: {', '.join(schema.names)}. Convert it, or set data.label_column to another."
        )


def _image_column(file: Path, schema: pa.Schema) -> str:
    kinds = dict(zip(schema.names, schema.types, strict=True))
    for column in _IMAGE_COLUMNS:
        if column in kinds and _holds_bytes(kinds[column]):
            return column
    listing = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    raise DataError(
        f"{file} has no image column. Allowed is 'image' or 'img' of type struct<bytes: binary, path: "
        f"string>; its columns: {listing}. Write the images in the Hugging Face layout."
    )


def _holds_bytes(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    inner = kind.field("bytes").type
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def names_of_classes(schema: pa.Schema, label_column: str) -> tuple[str, ...] | None:
    """Names of the ClassLabel feature in the schema's Hugging Face metadata; None if there are none."""
    try:
        names = parse_json(schema.metadata[b"huggingface"])["info"]["features"][label_column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    is_listing = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if is_listing else None
