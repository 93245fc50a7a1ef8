"""Reads the folders that `save_to_disk` of Hugging Face's datasets writes, with streams of Arrow in them."""

# Shapes: N rows.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage
from raynas.data.layout import LeftOut, Split, by_split
from raynas.data.parquet_columns import (
    Columns,
    LabelCounts,
    check_label_column,
    checked_labels,
    class_names_in,
    common_class_names,
    count_labels,
    find_image_column,
    found_by_labels,
    image_of_row,
)
from raynas.data.source_images import SourceSplits
from raynas.errors import DataError
from raynas.files import parse_json

_INFO = "dataset_info.json"
_MAX_JSON_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SavedImage:
    """A row of an Arrow file as a SourceImage, whose bytes are read from the file when they are asked for.

    Args:
        images: images of the batch of rows that it is in; the file is mapped into memory, not read.
        place: its place in the batch.
        row: its number in the file.
    """

    file: Path
    images: pa.Array
    place: int
    row: int
    class_name: str
    num_bytes: int
    is_numbered: bool = True

    @property
    def name(self) -> str:
        """Name for the image, which has none of its own."""
        return f"{self.file.stem}-{self.row}"

    def encoded(self) -> EncodedImage:
        """The encoded image; DataError if the row has no bytes."""
        return image_of_row(self.images[self.place].as_py(), file=self.file, row=self.row)


@dataclass(frozen=True, slots=True, eq=False)
class _Saved:
    """The rows of a split."""

    images: list[SavedImage]
    counted: LabelCounts


def read_saved(folder: Path, columns: Columns) -> SourceSplits:
    """The images of a Dataset or a DatasetDict, by split.

    Raises:
        DataError: a file is missing or damaged, a column is missing or of the wrong type, or a label is none.
    """
    names = _split_names(folder)
    if not names:
        parts: dict[Split, list[str]] = {"train": ["."]}
    else:
        parts = by_split(names, PurePosixPath)
    if "train" not in parts:
        raise DataError(f"{folder} has the splits {', '.join(names)}, and none for training. Save one too.")
    read = {split: [_read_split(folder / name, columns) for name in part] for split, part in parts.items()}
    class_names = common_class_names(
        (folder / name, saved.counted.class_names)
        for split, part in parts.items()
        for name, saved in zip(part, read[split], strict=True)
    )
    counts = {split: LabelCounts.together(saved.counted for saved in part) for split, part in read.items()}
    images = {split: [image for saved in part for image in saved.images] for split, part in read.items()}
    found = found_by_labels(
        "a data set that save_to_disk wrote",
        counts,
        places={split: ", ".join(part) for split, part in parts.items() if names},
        class_names=class_names,
        left_out=_left_out(names, parts),
    )
    return SourceSplits.numbered(images, found)


def _split_names(folder: Path) -> list[str]:
    """Names of the splits of a DatasetDict; none for a Dataset."""
    listing = folder / "dataset_dict.json"
    if not listing.is_file():
        return []
    names = _json(listing).get("splits")
    return _plain_names(listing, "splits", names)


def _left_out(names: list[str], parts: dict[Split, list[str]]) -> tuple[LeftOut, ...]:
    rest = [name for name in names if not any(name in part for part in parts.values())]
    return (LeftOut(len(rest), "split", "that is not needed", rest[0]),) if rest else ()


def _read_split(folder: Path, columns: Columns) -> _Saved:
    state = _json(folder / "state.json")
    entries = state.get("_data_files")
    files = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries or []]
    names = _class_names(_json(folder / _INFO), columns.label)
    saved = [
        _read_file(folder / file, columns, names)
        for file in _plain_names(folder / "state.json", "_data_files", files)
    ]
    images = [image for part in saved for image in part.images]
    if not images:
        raise DataError(f"{folder} has no rows. Save a data set with images.")
    return _Saved(images, LabelCounts.together(part.counted for part in saved))


def _read_file(file: Path, columns: Columns, names: tuple[str, ...] | None) -> _Saved:
    with _explained(file):
        reader = pa.ipc.open_stream(pa.memory_map(str(file)))
        schema = reader.schema
        check_label_column(file, schema, columns.label)
        image_column = find_image_column(file, schema, columns.image)
        batches = list(reader)
        images = [_checked(_images_of(batch, image_column)) for batch in batches]
        label_type = schema.field(columns.label).type
        labels = pa.chunked_array(
            [_checked(batch.column(columns.label)) for batch in batches], type=label_type
        )
    names = names or class_names_in(schema, columns.label)
    labels_N = checked_labels(labels, file=file, num_classes=None if names is None else len(names))
    rows = _rows(file, images, labels_N)
    return _Saved(rows, LabelCounts(len(rows), count_labels(labels), names))


def _images_of(batch: pa.RecordBatch, image_column: str) -> pa.Array:
    """The encoded images of a batch, null where there is none."""
    if image_column in batch.schema.names:
        return batch.column(image_column)
    return pc.struct_field(batch.column(image_column.removesuffix(".bytes")), "bytes")


def _checked(array: pa.Array) -> pa.Array:
    """The array, whose offsets lie within its data."""
    array.validate(full=True)
    return array


def _rows(file: Path, batches: Sequence[pa.Array], labels_N: NDArray[np.int64]) -> list[SavedImage]:
    num_bytes = max(file.stat().st_size // max(len(labels_N), 1), 1)
    places = ((images, place) for images in batches for place in range(len(images)))
    return [
        SavedImage(file, images, place, row, str(label), num_bytes)
        for row, ((images, place), label) in enumerate(zip(places, labels_N.tolist(), strict=True))
    ]


def _class_names(info: Mapping[str, Any], label_column: str) -> tuple[str, ...] | None:
    """Names of the ClassLabel feature in dataset_info.json; None if there are none."""
    try:
        names = info["features"][label_column]["names"]
    except (KeyError, TypeError):
        return None
    is_listing = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if is_listing else None


def _json(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f"it has more than {_MAX_JSON_BYTES:,} bytes")
        content = parse_json(file.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file} can't be read: {error}. Save the data set with save_to_disk again."
        ) from error
    return content


def _plain_names(file: Path, key: str, names: Any) -> list[str]:
    """Names of files or folders beside a file of JSON; DataError if one of them leads elsewhere."""
    if not isinstance(names, list) or not names:
        raise DataError(f"{key!r} of {file} lists nothing. Save the data set with save_to_disk again.")
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise DataError(f"{key!r} of {file} has {name!r}; allowed are names without a folder.")
    return names


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turns errors of pyarrow into DataErrors."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} can't be read as a stream of Arrow: {error}. Save the data set with save_to_disk again."
        ) from error
