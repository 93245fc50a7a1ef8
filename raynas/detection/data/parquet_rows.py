"""The pictures and boxes of Parquet files in the Hugging Face layout (see parquet_objects.py).

All boxes are read at once, a picture when it is needed, with its neighbours in the file.
"""

# Shapes: P pictures, M of some of them, N boxes, K classes, R ranges of rows.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage
from raynas.data.stream.location import filesystem_of
from raynas.data.stream.shards import RowRange, images_of_rows, read_columns, row_ranges
from raynas.detection.data.box_format import as_xywh, decided_format
from raynas.detection.data.boxes import offsets_of
from raynas.detection.data.coco_json import CocoRecords, Id
from raynas.detection.data.config import BoxFormat
from raynas.detection.data.parquet_objects import BoxFile, read_file
from raynas.detection.data.pictures import Numbers, Picture, read_size
from raynas.errors import DataError

_FIRST_PICTURES = 64
"""Number of pictures whose headers are read where columns of sizes are missing, to check the boxes."""


@dataclass(frozen=True, slots=True)
class RowPicture:
    """A Picture whose bytes were read together with those of its neighbours."""

    encoded: EncodedImage

    def read(self) -> EncodedImage:
        """See Picture."""
        return self.encoded


@dataclass(frozen=True, slots=True, eq=False)
class RowPictures:
    """A PictureSet of the rows of all files, in order."""

    uri: str
    ranges: tuple[RowRange, ...]
    starts_R: Numbers
    num_pictures: int

    def pieces(self, rng: np.random.Generator | None) -> list[Numbers]:
        """See PictureSet."""
        order_R = np.arange(len(self.ranges)) if rng is None else rng.permutation(len(self.ranges))
        return [self.starts_R[piece] + np.arange(self.ranges[piece].num_rows) for piece in order_R]

    def fetch(self, numbers_M: Numbers) -> list[Picture]:
        """See PictureSet."""
        place = int(np.searchsorted(self.starts_R, numbers_M[0], side="right")) - 1
        rows = self.ranges[place]
        (images,) = read_columns(self.uri, rows, [rows.image_column])
        return [
            RowPicture(encoded) for encoded in images_of_rows(rows, images, numbers_M - self.starts_R[place])
        ]


def has_boxes(uri: str, file: str) -> bool:
    """Whether a Parquet file has the columns of this layout; False for one that can't be read."""
    try:
        with filesystem_of(uri).open_input_file(file) as content:
            names = pq.read_schema(content).names
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return False
    return "objects" in names


def read_rows(
    uri: str, files: Sequence[str], *, box_format: BoxFormat | None, other_classes: Sequence[int] = ()
) -> tuple[RowPictures, CocoRecords]:
    """Reads the boxes of all files of a split.

    Args:
        uri: as in Location.
        box_format: None to take what the layout suggests, if the boxes confirm it.
        other_classes: classes that exist although they may not occur, where the files have no names.
    Raises:
        DataError: a file is broken, lacks a column, or differs from the others in its classes, or the format
            of the boxes can't be decided.
    """
    parts = [read_file(uri, file) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        if part.class_names != first.class_names or part.metadata != first.metadata:
            raise DataError(
                f"{files[0]} and {file} have different classes in their metadata, so they are not parts of "
                "one data set. Use the files of one data set alone."
            )
    ranges = [
        rows
        for file, part in zip(files, parts, strict=True)
        for rows in row_ranges(file, part.image_column, part.rows_of_groups)
    ]
    counts_R = np.array([rows.num_rows for rows in ranges], dtype=np.int64)
    pictures = RowPictures(uri, tuple(ranges), offsets_of(counts_R)[:-1], int(counts_R.sum()))
    if not pictures.num_pictures:
        raise DataError(f"{files[0]} and the {len(files) - 1} files beside it have no rows. Use other files.")
    name = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    return pictures, _records(name, parts, pictures, box_format, other_classes)


def _records(
    name: str,
    parts: Sequence[BoxFile],
    pictures: RowPictures,
    box_format: BoxFormat | None,
    other_classes: Sequence[int],
) -> CocoRecords:
    first = parts[0]
    counts_P = np.concatenate([part.counts_P for part in parts])
    sizes_P2 = np.concatenate([part.sizes_P2 for part in parts])
    boxes_N4 = np.concatenate([part.boxes_N4 for part in parts])
    class_N = np.concatenate([part.class_N for part in parts])
    picture_of_N = np.repeat(np.arange(len(counts_P)), counts_P)
    if box_format is None:
        box_format = _written_format(first)
    if box_format is None:
        known_P2 = sizes_P2 if (sizes_P2 > 0).any() else _first_sizes(pictures)
        box_format = decided_format(boxes_N4, known_P2[picture_of_N], _suggested_format(first), name)
    ids: list[Id] = []
    for part in parts:
        own = part.picture_ids
        ids += range(len(ids), len(ids) + len(part.counts_P)) if own is None else own
    numbers = np.unique(class_N).tolist()
    class_ids: list[Id]
    if first.class_names is None:
        class_ids = sorted({*numbers, *other_classes})
        box_class_ids = numbers
    else:
        class_ids = _original_ids(first, len(first.class_names)) or list(range(len(first.class_names)))
        # A number without a name is refused later; a negative one would be counted from the end here.
        box_class_ids = [
            class_ids[number] if 0 <= number < len(class_ids) else f"index {number}" for number in numbers
        ]
    return CocoRecords(
        file=name,
        picture_ids=ids,
        file_names=[],
        widths_P=sizes_P2[:, 0],
        heights_P=sizes_P2[:, 1],
        class_ids=class_ids,
        class_names=list(first.class_names or map(str, class_ids)),
        box_picture_ids=ids,
        box_class_ids=box_class_ids,
        picture_of_N=picture_of_N,
        class_of_N=np.searchsorted(numbers, class_N),
        boxes_N4=as_xywh(boxes_N4, box_format),
        areas_N=np.concatenate([part.areas_N for part in parts]),
        is_crowd_N=np.concatenate([part.is_crowd_N for part in parts]),
        annotation_ids=[None] * len(boxes_N4),
        list_name="objects",
    )


def _written_format(file: BoxFile) -> BoxFormat | None:
    """The format that `raynas convert` wrote down."""
    written = file.metadata.get("box_format")
    return written if written in ("xyxy", "xywh") else None


def _suggested_format(file: BoxFile) -> BoxFormat:
    """The format that a layout suggests.

    Data sets of the Hub's `detection-datasets`, which alone number their boxes in `bbox_id`, are xyxy. The
    Hub's documentation of image folders prescribes COCO's xywh.
    """
    return "xyxy" if file.has_box_id else "xywh"


def _original_ids(file: BoxFile, num_classes: int) -> list[Id] | None:
    ids = file.metadata.get("category_ids")
    if not isinstance(ids, list) or len(ids) != num_classes:
        return None
    are_ids = all(isinstance(own, int | str) and not isinstance(own, bool) for own in ids)
    return ids if are_ids and len(set(ids)) == num_classes else None


def _first_sizes(pictures: RowPictures) -> NDArray[np.int64]:
    sizes_P2 = np.zeros((pictures.num_pictures, 2), dtype=np.int64)
    numbers_M = pictures.pieces(None)[0][:_FIRST_PICTURES]
    for number, picture in zip(numbers_M, pictures.fetch(numbers_M), strict=True):
        sizes_P2[number] = read_size(picture, int(number))
    return sizes_P2
