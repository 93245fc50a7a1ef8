"""Tells by the names of files whether a path is a data set that has to be converted first."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Literal

from raynas.errors import DataError

Kind = Literal["CIFAR batches", "NumPy arrays", "a data set that save_to_disk wrote"]


def kind_of(path: Path) -> Kind | None:
    """The foreign format of a file or folder; None if it has none of them."""
    if not path.is_dir():
        return "NumPy arrays" if path.suffix.lower() == ".npz" else None
    if _has(path, "data_batch_1") or _has(path, "train", "test", "meta"):
        return "CIFAR batches"
    if _has(path, "dataset_dict.json") or _has(path, "state.json", "dataset_info.json"):
        return "a data set that save_to_disk wrote"
    return None


def check_not_foreign(path: Path, given: str) -> None:
    """Raises DataError if a data source has to be converted first; it has the command that does.

    Args:
        given: what the user wrote.
    """
    kind = kind_of(path)
    if kind is not None:
        out = f"{os.path.splitext(path.resolve().name)[0]}-shards"
        raise DataError(
            f"{given!r} is {kind}, which raynas reads after a conversion. Run\n"
            f"  raynas convert {shlex.quote(str(path))} {shlex.quote(out)}\n"
            f"and give {out} as the data."
        )


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_file() for name in names)
