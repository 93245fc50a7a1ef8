"""Columns of a Parquet data set in the Hugging Face layout, checked the same way in memory and streamed.

The layout: a column of struct<bytes, path>, usually called image or img, a column of integer labels, and the
names of the classes as JSON in the schema's metadata. A column of plain bytes is read like one of structs.
"""

# Shapes: N rows.

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raynas.data.config import DEFAULT_LABEL_COLUMN
from raynas.data.decode import EncodedImage
from raynas.data.found import Found
from raynas.data.layout import LeftOut, Split
from raynas.errors import DataError, did_you_mean
from raynas.files import parse_json

LOOKED_AT = 4
"""Rows whose size is looked at before anything is trained; each costs the reading of a row group."""
_IMAGE_COLUMNS = ("image", "img")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns the user named.

    Args:
        image: None means 'image' or 'img', or else the only column of images.
    """

    label: str = DEFAULT_LABEL_COLUMN
    image: str | None = None


def check_label_column(file: str | Path, schema: pa.Schema, label_column: str) -> None:
    """Raises DataError unless the schema has the label column and it holds integers."""
    kinds = _types_of(schema)
    integers = [name for name, kind in kinds.items() if pa.types.is_integer(kind)]
    if label_column not in kinds:
        holding = f" Those that hold integers: {', '.join(integers)}." if integers else ""
        raise DataError(
            f"{file} has no column {label_column!r}.{did_you_mean(label_column, schema.names)} Its columns: "
            f"{', '.join(schema.names)}.{holding} Set data.label_column (--label-column of raynas convert) "
            "to the one that holds the class indexes."
        )
    kind = kinds[label_column]
    if not pa.types.is_integer(kind):
        raise DataError(
            f"The label column {label_column!r} of {file} holds values of type {kind}; integers from 0 are "
            f"allowed. Columns: {', '.join(schema.names)}. Convert it, or set data.label_column "
            "(--label-column of raynas convert) to another."
        )


def find_image_column(file: str | Path, schema: pa.Schema, image_column: str | None) -> str:
    """Path of the encoded images within the schema: 'image.bytes' of a struct, or 'image' of plain bytes.

    Args:
        image_column: as in Columns.
    Raises:
        DataError: there is no such column, or there are several and none was named.
    """
    kinds = _types_of(schema)
    found = {name: path for name, kind in kinds.items() if (path := _image_path(name, kind))}
    listing = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    if image_column is not None:
        return _named(file, image_column, kinds, found, listing)
    structs = [name for name, path in found.items() if path != name]
    usual = [name for name in _IMAGE_COLUMNS if name in found]
    # Bytes in no struct may be anything else where there are structs of an image.
    candidates = usual or structs or list(found)
    if len(candidates) == 1:
        return found[candidates[0]]
    advice = "Set data.image_column (--image-column of raynas convert)"
    if candidates:
        raise DataError(
            f"{file} has several columns that may hold the images: {', '.join(candidates)}. Its columns: "
            f"{listing}. {advice} to one of them."
        )
    raise DataError(
        f"{file} has no image column. Allowed is a column of type struct<bytes: binary, path: string> or "
        f"binary; its columns: {listing}. Write the images themselves into the file, as the Hugging Face "
        "layout has them."
    )


def _named(
    file: str | Path, name: str, kinds: Mapping[str, pa.DataType], found: Mapping[str, str], listing: str
) -> str:
    if name in found:
        return found[name]
    if name in kinds:
        raise DataError(
            f"The image column {name!r} of {file} holds values of type {kinds[name]}; struct<bytes: binary, "
            f"path: string> or binary is allowed. Its columns: {listing}. Set data.image_column "
            "(--image-column of raynas convert) to another."
        )
    raise DataError(
        f"{file} has no column {name!r}.{did_you_mean(name, kinds)} Its columns: {listing}. Set "
        "data.image_column (--image-column of raynas convert) to the one that holds the images."
    )


def _image_path(name: str, kind: pa.DataType) -> str | None:
    if _is_struct_with_bytes(kind):
        return f"{name}.bytes"
    return name if _is_bytes(kind) else None


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


def count_labels(labels: pa.Array | pa.ChunkedArray) -> Counter[int]:
    """How often each label occurs; nulls and negative numbers are none."""
    counted = pc.value_counts(labels)
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return Counter({label: count for label, count in pairs if label is not None and label >= 0})


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """The labels of some rows.

    Args:
        counts: rows of each label; without the rows whose label can't be used.
        class_names: names of the classes; None if they have only numbers.
    """

    num_rows: int
    counts: Mapping[int, int]
    class_names: tuple[str, ...] | None

    @staticmethod
    def together(parts: Iterable[LabelCounts]) -> LabelCounts:
        """The labels of several files of one split; the first file's names."""
        all_parts = list(parts)
        counts = sum((Counter(part.counts) for part in all_parts), Counter[int]())
        return LabelCounts(sum(part.num_rows for part in all_parts), counts, all_parts[0].class_names)

    @property
    def num_classes(self) -> int:
        """Number of classes: of the names, or else up to the largest label."""
        return len(self.class_names) if self.class_names else max(self.counts, default=-1) + 1

    def by_class(self) -> dict[str, int]:
        """Rows of each class that has any, by its name or number, in the order of the labels."""
        known = sorted(label for label in self.counts if label < self.num_classes)
        names = self.class_names
        return {names[label] if names else str(label): self.counts[label] for label in known}


def found_in_shards(
    splits: Mapping[Split, LabelCounts],
    *,
    image_column: str,
    label_column: str,
    places: Mapping[Split, str],
    left_out: tuple[LeftOut, ...],
) -> Found:
    """What the shards hold, but for the sizes of the images.

    Args:
        image_column: as `find_image_column` gives it.
    """
    image_column = image_column.removesuffix(".bytes")
    return found_by_labels(
        f"Parquet files with images in {image_column!r} and labels in {label_column!r}",
        splits,
        places={split: place for split, place in places.items() if split in splits},
        class_names=splits["train"].class_names,
        left_out=left_out,
    )


def found_by_labels(
    kind: str,
    splits: Mapping[Split, LabelCounts],
    *,
    places: Mapping[Split, str],
    class_names: Sequence[str] | None,
    left_out: tuple[LeftOut, ...],
) -> Found:
    """What a source with numbered classes holds, but for the sizes of the images.

    Args:
        kind: what the source is, for the user.
    """
    return Found(
        kind=kind,
        num_classes=splits["train"].num_classes,
        class_names=None if class_names is None else tuple(class_names),
        num_images={split: part.num_rows for split, part in splits.items()},
        counts={split: part.by_class() for split, part in splits.items()},
        places=places,
        left_out=left_out,
    )


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
