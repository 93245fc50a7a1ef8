"""Looks at pictures before training starts: decodes a few, and reads the headers of more."""

# Shapes: P pictures, M of some of them.

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from raynas.data.stream.location import LOCAL
from raynas.detection.data.coco_json import Id
from raynas.detection.data.pictures import (
    UNKNOWN_SIZE,
    FilePictures,
    Numbers,
    PictureSet,
    Size,
    decode_picture,
    read_size,
    spread,
)

_DECODED_EARLY = 16
_HEADERS_EARLY = 2000
_HEADERS_EARLY_REMOTE = 64
_MAX_THREADS = 16


def complete_sizes(pictures: FilePictures, ids: Sequence[Id], sizes_P2: Numbers) -> tuple[Numbers, list[str]]:
    """Reads from the headers what the annotations don't tell."""
    unknown = np.flatnonzero((sizes_P2 <= 0).any(axis=1))
    if not len(unknown):
        return sizes_P2, []
    sizes_P2 = sizes_P2.copy()
    with _threads() as threads:
        sizes_P2[unknown] = list(
            threads.map(
                lambda number: read_size(pictures.fetch(np.array([number]))[0], ids[number]), unknown.tolist()
            )
        )
    finding = (
        f"{len(unknown):,} pictures have no usable width and height, such as {ids[unknown[0]]!r}; both were "
        "read from the files"
    )
    return sizes_P2, [finding]


def look_at_pictures(pictures: PictureSet, ids: Sequence[Id], sizes_P2: Numbers) -> None:
    """Decodes a few pictures, and compares the sizes of more with those that are declared.

    Raises:
        DataError: one is missing, can't be decoded, or differs from what its annotations say.
    """
    if not isinstance(pictures, FilePictures):
        # Neighbours, because their bytes are read together.
        numbers_M = pictures.pieces(None)[0][:_DECODED_EARLY]
        for number, picture in zip(numbers_M.tolist(), pictures.fetch(numbers_M), strict=True):
            decode_picture(picture, ids[number], declared=declared_size(sizes_P2, number))
        return
    count = _HEADERS_EARLY if pictures.uri == LOCAL else _HEADERS_EARLY_REMOTE
    decoded = set(spread(pictures.num_pictures, _DECODED_EARLY))

    def look(number: int) -> None:
        own, declared = ids[number], declared_size(sizes_P2, number)
        picture = pictures.fetch(np.array([number]))[0]
        if number in decoded:
            decode_picture(picture, own, declared=declared)
        else:
            read_size(picture, own, declared=declared)

    with _threads() as threads:
        # list() raises the first error, in the order of the files.
        list(threads.map(look, sorted(decoded | set(spread(pictures.num_pictures, count)))))


def declared_size(sizes_P2: Numbers, number: int) -> Size:
    """Width and height of a picture, or UNKNOWN_SIZE."""
    width, height = sizes_P2[number].tolist()
    return (width, height) if width > 0 and height > 0 else UNKNOWN_SIZE


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(_MAX_THREADS, 2 * (os.cpu_count() or 1)))
