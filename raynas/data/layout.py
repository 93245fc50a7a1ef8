"""Tells from the names of files and folders which data is for training and which is held out."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Literal, TypeVar

from raynas.errors import DataError

Role = Literal["train", "held out"]

_TRAIN_WORDS = frozenset({"train", "training"})
_HELD_OUT_WORDS = frozenset({"test", "testing", "val", "valid", "validation"})
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
_Item = TypeVar("_Item")
_logger = logging.getLogger(__name__)


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
    """Folders and links to folders directly in `folder`, sorted, without hidden ones; circles as below.

    Raises:
        DataError: the folder can't be read, or a link in it leads nowhere.
    """
    return sorted(_contents(folder, _way_to(folder))[0])


def files_below(folder: Path, endings: Iterable[str]) -> list[Path]:
    """Files at any depth with one of the endings (such as '.png', in any case), sorted, without hidden ones.

    Links are followed. One that leads back to a folder on the way to it is left out, with a warning.

    Raises:
        DataError: a folder can't be read, or a link leads nowhere.
    """
    return sorted(_files(folder, tuple(endings), _way_to(folder)))


def _files(folder: Path, endings: tuple[str, ...], way: frozenset[str]) -> Iterator[Path]:
    folders, files = _contents(folder, way)
    yield from (file for file in files if file.name.lower().endswith(endings))
    for below in folders:
        yield from _files(below, endings, way | {os.path.realpath(below)})


def _way_to(folder: Path) -> frozenset[str]:
    """Real paths of a folder and of the folders above it, both as it is written and as links lead to it."""
    written, real = folder.absolute(), folder.resolve()
    return frozenset(os.path.realpath(part) for part in (written, real, *written.parents, *real.parents))


def _contents(folder: Path, way: frozenset[str]) -> tuple[list[Path], list[Path]]:
    """Folders and files directly in `folder`, without hidden ones; `way` has the real paths down to it."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"The folder {error.filename} can't be read: {error.strerror}. Correct its permissions."
        ) from error
    folders: list[Path] = []
    files: list[Path] = []
    for entry in shown:
        path = folder / entry.name
        if entry.is_symlink() and not path.exists():
            raise DataError(
                f"The link {path} leads nowhere: {os.readlink(path)!r} can't be read. Restore what it should "
                "lead to, or remove the link."
            )
        if not entry.is_dir():
            files.append(path)
        elif os.path.realpath(path) not in way:
            folders.append(path)
        else:
            _logger.warning("link left out  path=%s reason=it leads back to a folder that it lies in", path)
    return folders, files


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
