"""Reads the boxes of one Parquet file in the Hugging Face layout into arrays, without its pictures.

The layout: a column `image` of struct<bytes, path>, and `objects` with `bbox`, `category` or `categories`,
and optionally `iscrowd` and `area`, as a struct of lists or a list of structs; optionally `image_id`, `width`
and `height`. The names of the classes stand in the schema's metadata.
"""

# Shapes: P pictures, N boxes.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.data.parquet_columns import find_image_column
from raynas.data.stream.footer import checked_row_groups
from raynas.data.stream.location import filesystem_of, reason_of
from raynas.detection.data.coco_json import MAX_NUMBER, Id
from raynas.errors import DataError
from raynas.files import parse_json

METADATA = b"raynas_detection"
"""Key of what `raynas convert` adds to the schema's metadata: JSON with box_format and category_ids."""
CLASS_FIELDS = ("category", "categories", "label", "labels")
_COLUMNS = ("image_id", "width", "height", "objects")


@dataclass(frozen=True, slots=True, eq=False)
class BoxFile:
    """What is read of one file; boxes in the file's own format."""

    rows_of_groups: tuple[int, ...]
    image_column: str
    class_names: tuple[str, ...] | None
    metadata: Mapping[str, Any]
    has_box_id: bool
    picture_ids: list[Id] | None
    sizes_P2: NDArray[np.int64]
    counts_P: NDArray[np.int64]
    boxes_N4: NDArray[np.float64]
    class_N: NDArray[np.int64]
    areas_N: NDArray[np.float64]
    is_crowd_N: NDArray[np.bool_]


def read_file(uri: str, file: str) -> BoxFile:
    """Reads all columns but that of the pictures.

    Args:
        uri: as in Location.
    Raises:
        DataError: the file is broken, lacks a column, or has values of a wrong kind.
    """
    try:
        with filesystem_of(uri).open_input_file(file) as content, pq.ParquetFile(content) as parquet:
            schema = parquet.schema_arrow
            image_column = find_image_column(file, schema, None)
            if "objects" not in schema.names:
                raise DataError(
                    f"{file} has no column 'objects'; its columns: {', '.join(schema.names)}. Allowed are "
                    "`image` and `objects` with `bbox` and `category`."
                )
            rows = checked_row_groups(parquet.metadata, content.size())
            names = [name for name in _COLUMNS if name in schema.names]
            table = parquet.read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} can't be read as Parquet: {reason_of(error)}. Write or download it again."
        ) from error
    fields, counts_P = _fields(file, table.column("objects").combine_chunks())
    class_field = next((name for name in CLASS_FIELDS if name in fields), None)
    if "bbox" not in fields or class_field is None:
        raise DataError(
            f"The column 'objects' of {file} has the fields {', '.join(fields) or 'none'}; allowed are bbox, "
            "category or categories, and optionally iscrowd and area."
        )
    boxes_N4 = _boxes(file, fields["bbox"])
    return BoxFile(
        rows_of_groups=rows,
        image_column=image_column,
        class_names=_class_names(schema, class_field),
        metadata=_json_in(schema, METADATA),
        has_box_id="bbox_id" in fields,
        picture_ids=_picture_ids(file, table),
        sizes_P2=np.stack([_sides(file, table, name) for name in ("width", "height")], axis=1),
        counts_P=counts_P,
        boxes_N4=boxes_N4,
        class_N=_classes(file, class_field, fields[class_field]),
        areas_N=_floats(file, "area", fields["area"]) if "area" in fields else np.full(len(boxes_N4), np.nan),
        is_crowd_N=_crowds(file, fields["iscrowd"]) if "iscrowd" in fields else np.zeros(len(boxes_N4), bool),
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _fields(file: str, objects: pa.Array) -> tuple[dict[str, pa.Array], NDArray[np.int64]]:
    """The flat values of each field, and the number of boxes of each row."""
    kind = objects.type
    if _is_list(kind) and pa.types.is_struct(kind.value_type):
        values = objects.flatten()
        return {field.name: pc.struct_field(values, field.name) for field in kind.value_type}, _lengths(
            objects
        )
    if pa.types.is_struct(kind) and all(_is_list(field.type) for field in kind) and kind.num_fields:
        lists = {field.name: pc.struct_field(objects, field.name) for field in kind}
        counts = {name: _lengths(values) for name, values in lists.items()}
        used = [name for name in counts if name in ("bbox", "area", "iscrowd", *CLASS_FIELDS)]
        first_name = next(iter(used or counts))
        first = counts[first_name]
        for name in used:
            counts_P = counts[name]
            if (counts_P != first).any():
                row = int((counts_P != first).argmax())
                raise DataError(
                    f"Row {row} (counted from 0) of {file} has {first[row]} values of {first_name} and "
                    f"{counts_P[row]} of {name} in 'objects'. Correct or remove the row."
                )
        return {name: values.flatten() for name, values in lists.items()}, first
    raise DataError(
        f"The column 'objects' of {file} has the type {kind}; allowed is a struct of lists or a list of "
        "structs with bbox and category."
    )


def _lengths(lists: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)


def _boxes(file: str, boxes: pa.Array) -> NDArray[np.float64]:
    if not _is_list(boxes.type):
        raise DataError(
            f"The field bbox of {file} has the type {boxes.type}; allowed are lists of 4 numbers."
        )
    lengths_N = _lengths(boxes)
    if (lengths_N != 4).any():
        index = int((lengths_N != 4).argmax())
        raise DataError(
            f"Box {index} (counted from 0) of {file} has {lengths_N[index]} numbers; 4 are allowed. Correct "
            "or remove it."
        )
    return _floats(file, "bbox", boxes.flatten()).reshape(-1, 4)


def _floats(file: str, name: str, values: pa.Array) -> NDArray[np.float64]:
    _check_numbers(file, name, values)
    numbers = np.asarray(values.cast(pa.float64(), safe=False).fill_null(np.nan), dtype=np.float64)
    is_wrong = np.isfinite(numbers) & (np.abs(numbers) > MAX_NUMBER)
    if is_wrong.any():
        raise DataError(
            f"The field {name} of {file} has {numbers[is_wrong][0]:g}; allowed are numbers from "
            f"{-MAX_NUMBER:g} to {MAX_NUMBER:g}. Correct or remove it."
        )
    return numbers


def _classes(file: str, name: str, values: pa.Array) -> NDArray[np.int64]:
    if not pa.types.is_integer(values.type) or values.null_count:
        what = "nulls" if pa.types.is_integer(values.type) else f"values of type {values.type}"
        raise DataError(f"The field {name} of {file} has {what}; allowed are integers from 0. Correct it.")
    return np.asarray(values).astype(np.int64)


def _crowds(file: str, values: pa.Array) -> NDArray[np.bool_]:
    if pa.types.is_boolean(values.type):
        return np.asarray(values.fill_null(False))
    numbers = np.nan_to_num(_floats(file, "iscrowd", values))
    if not np.isin(numbers, (0, 1)).all():
        wrong = numbers[~np.isin(numbers, (0, 1))][0]
        raise DataError(f"The field iscrowd of {file} has {wrong:g}; allowed are 0 and 1. Correct it.")
    return numbers.astype(bool)


def _check_numbers(file: str, name: str, values: pa.Array) -> None:
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(f"The field {name} of {file} has values of type {kind}; allowed are numbers.")


def _picture_ids(file: str, table: pa.Table) -> list[Id] | None:
    if "image_id" not in table.column_names:
        return None
    column = table.column("image_id")
    is_id = pa.types.is_integer(column.type) or pa.types.is_string(column.type)
    if not is_id or column.null_count:
        what = "nulls" if is_id else f"values of type {column.type}"
        raise DataError(f"The column image_id of {file} has {what}; allowed are integers or texts.")
    return column.to_pylist()  # type: ignore[no-any-return]


def _sides(file: str, table: pa.Table, name: str) -> NDArray[np.int64]:
    """Widths or heights, 0 where the file doesn't tell."""
    if name not in table.column_names:
        return np.zeros(len(table), dtype=np.int64)
    numbers = np.nan_to_num(_floats(file, name, table.column(name).combine_chunks()))
    return np.clip(numbers, 0, 2**31 - 1).astype(np.int64)


def _json_in(schema: pa.Schema, key: bytes) -> dict[str, Any]:
    try:
        value = parse_json(schema.metadata[key])
    except (KeyError, TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _class_names(schema: pa.Schema, class_field: str) -> tuple[str, ...] | None:
    """Names of the class feature, which versions of the Hub's library nest in different ways."""
    info = _json_in(schema, b"huggingface").get("info")
    features = info.get("features") if isinstance(info, dict) else None
    node = features.get("objects") if isinstance(features, dict) else None
    return _names_in(node, class_field, depth=0)


def _names_in(node: object, key: str, *, depth: int) -> tuple[str, ...] | None:
    if depth > 8:
        return None
    if isinstance(node, list):
        found = (_names_in(part, key, depth=depth + 1) for part in node)
        return next((names for names in found if names), None)
    if not isinstance(node, dict):
        return None
    names = node.get("names") if depth and node.get("_type") == "ClassLabel" else None
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    below = [node[key]] if key in node else [node[name] for name in ("feature", "_fields") if name in node]
    found = (_names_in(part, key, depth=depth + 1) for part in below)
    return next((names for names in found if names), None)
