"""Reads a data set in a foreign format, whichever it is."""

from __future__ import annotations

from pathlib import Path

from raynas.data.foreign.cifar import read_cifar
from raynas.data.foreign.npz import read_npz
from raynas.data.foreign.recognise import Kind
from raynas.data.foreign.saved import read_saved
from raynas.data.parquet_columns import Columns
from raynas.data.source_images import SourceSplits


def read_foreign(path: Path, kind: Kind, columns: Columns) -> SourceSplits:
    """The images of a data set, by split.

    Args:
        kind: as recognise.kind_of gives it.
        columns: those of a data set that save_to_disk wrote.
    Raises:
        DataError: the data set is damaged, or has values that are not allowed.
    """
    if kind == "CIFAR batches":
        return read_cifar(path)
    if kind == "NumPy arrays":
        return read_npz(path)
    return read_saved(path, columns)
