"""Images of Parquet files for `raynas convert`: rows, of which a whole row group is read at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raynas.data.decode import EncodedImage
from raynas.data.shard import RowGroup, Shard

WINDOW_BYTES = 128_000_000
"""Size of the row groups whose rows are shuffled together."""
_KEPT_BYTES = 2_000_000_000
"""Memory for row groups that were read: windows of all threads that write."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a Parquet file as a Member: its image, and its class's number as text."""

    group: RowGroup
    row: int
    num_bytes: int
    class_name: str
    is_numbered: bool = True

    @property
    def file(self) -> str:
        """Path of the Parquet file."""
        return str(self.group.file)

    @property
    def name(self) -> str:
        """Name for the image, which has none of its own."""
        return f"{self.group.file.stem}-{self.group.first_row + self.row}"

    def encoded(self) -> EncodedImage:
        """The encoded image; DataError if the file is damaged or the row has no image."""
        return _KEPT.images(self.group)[self.row]


class _KeptGroups:
    """The row groups that were read last."""

    def __init__(self) -> None:
        self._groups: OrderedDict[RowGroup, list[EncodedImage]] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def images(self, group: RowGroup) -> list[EncodedImage]:
        with self._lock:
            if group in self._groups:
                self._groups.move_to_end(group)
                return self._groups[group]
        images = group.read(np.arange(group.num_rows))
        with self._lock:
            if group not in self._groups:
                self._groups[group] = images
                self._num_bytes += _size(images)
            while self._num_bytes > _KEPT_BYTES and len(self._groups) > 1:
                self._num_bytes -= _size(self._groups.popitem(last=False)[1])
        return images


_KEPT = _KeptGroups()


def _size(images: Sequence[EncodedImage]) -> int:
    return sum(len(image.content or b"") for image in images)


def rows_of(shard: Shard) -> list[Row]:
    """All rows of a shard."""
    num_bytes = max(Path(shard.file).stat().st_size // max(len(shard.labels_N), 1), 1)
    labels = [str(label) for label in shard.labels_N.tolist()]
    return [
        Row(group, row, num_bytes, labels[group.first_row + row])
        for group in shard.row_groups
        for row in range(group.num_rows)
    ]


def row_order(rows: Sequence[Row], rng: np.random.Generator) -> list[int]:
    """A random order of the rows: row groups are shuffled, and then the rows within a window of row groups.

    So a row group is read while its window is written, and not once for each of its rows.
    """
    groups: dict[RowGroup, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.group, []).append(number)
    in_file_order = list(groups.values())
    shuffled = [in_file_order[place] for place in rng.permutation(len(groups))]
    order: list[int] = []
    window: list[int] = []
    num_bytes = 0
    for numbers in shuffled:
        window += numbers
        num_bytes += len(numbers) * rows[numbers[0]].num_bytes
        if num_bytes >= WINDOW_BYTES:
            order += map(int, rng.permutation(window))
            window, num_bytes = [], 0
    return [*order, *map(int, rng.permutation(window))]
