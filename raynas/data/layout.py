"""Tells from the names of files and folders which data is for training and which is held out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Literal, NoReturn, TypeVar

from raynas.errors import DataError

Role = Literal["train", "held out"]

_TRAIN_WORDS = frozenset({"train", "training"})
_HELD_OUT_WORDS = frozenset({"test", "testing", "val", "valid", "validation"})
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
_Item = TypeVar("_Item")


def role_of_name(name: str) -> Role | None:
    """'train' for train-00000-of-00002.parquet, 'held out' for val.parquet, None for strain.parquet."""
    words = set(re.findall("[a-z]+", name.lower()))
    if words & _TRAIN_WORDS:
        return "train"
    return "held out" if words & _HELD_OUT_WORDS else None


def role_of_path(path: PurePath) -> Role | None:
    """The role that the file's name tells, or else that of the innermost folder whose name tells one."""
    roles = (role_of_name(part) for part in reversed(path.parts))
    return next((role for role in roles if role), None)


def sub_folders(folder: Path) -> list[Path]:
    """Folders directly in `folder`, sorted, without hidden ones.

    Raises:
        DataError: the folder can't be read.
    """
    _, names, _ = next(os.walk(folder, onerror=_refuse))
    return sorted(folder / name for name in names if not name.startswith("."))


def files_below(folder: Path, endings: Iterable[str]) -> list[Path]:
    """Files at any depth with one of the endings (such as '.png', in any case), sorted, without hidden ones.

    Links to folders below `folder` are not followed, because they can form a cycle.

    Raises:
        DataError: a folder can't be read.
    """
    endings = tuple(endings)
    found: list[Path] = []
    for parent, folder_names, file_names in os.walk(folder, onerror=_refuse):
        # os.walk descends into the folders that are left in this list.
        folder_names[:] = [name for name in folder_names if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in file_names
            if name.lower().endswith(endings) and not name.startswith(".")
        ]
    return sorted(found)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(
        f"The folder {error.filename} can't be read: {error.strerror}. Correct its permissions."
    ) from error


def by_split(items: Iterable[_Item], path_of: Callable[[_Item], PurePath]) -> dict[Split, list[_Item]]:
    """Groups items by split, as their paths tell; a split without items is left out.

    The train split consists of the items named train, or else of those whose names tell no split. The
    validation split consists of those named val or validation, or else of those named test.
    """
    roles: dict[str, list[_Item]] = {}
    for item in items:
        roles.setdefault(_role(path_of(item)), []).append(item)
    found = {
        "train": roles.get("train") or roles.get("unnamed"),
        "validation": roles.get("validation") or roles.get("test"),
    }
    return {split: found[split] or [] for split in SPLITS if found[split]}


def _role(path: PurePath) -> str:
    role = role_of_path(path)
    if role != "held out":
        return role or "unnamed"
    # The 'val' in 'eval' does not turn a test set into a validation set.
    telling = next(part for part in reversed(path.parts) if role_of_path(PurePath(part)))
    return "validation" if "val" in re.sub("eval", "", telling.lower()) else "test"
