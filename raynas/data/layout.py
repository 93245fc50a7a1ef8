"""Tells from the names of files and folders which data is for training, and lists folders on this machine.

Which folders are classes is decided in tree_layout.py.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal, TypeVar

from raynas.errors import DataError

Role = Literal["train", "held out"]

Part = Literal["train", "validation", "test"]

_TRAIN_WORDS = frozenset({"train", "training", "trainset", "trainval"})
_HELD_OUT_WORDS = frozenset({"test", "testing", "testset", "val", "valid", "validation", "valset"})
# 'seg', 'train' in seg_train; 'Train', 'Images' in TrainImages; 'TRAIN' in TRAIN2017.
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_JUNK = frozenset(
    {"__macosx", "@eadir", "lost+found", "__pycache__", "$recycle.bin", "system volume information"}
)
"""Folders that systems make by themselves, in small letters."""
_REASONS: dict[Part | None, str] = {
    None: "whose names tell no part, beside some that are named for training",
    "test": "of a test set that is not needed beside the validation set",
}
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
_Item = TypeVar("_Item")
_logger = logging.getLogger(__name__)


def role_of_name(name: str) -> Role | None:
    """'train' for train-00000-of-00002.parquet, 'held out' for val.parquet, None for strain.parquet."""
    words = {word.lower() for word in _WORD.findall(name)}
    if words & _TRAIN_WORDS:
        return "train"
    return "held out" if words & _HELD_OUT_WORDS else None


def part_of_name(name: str) -> Part | None:
    """The part of a data set that a name tells; the 'val' in 'eval' makes no validation set of a test set."""
    role = role_of_name(name)
    if role != "held out":
        return role
    return "validation" if "val" in re.sub("eval", "", name.lower()) else "test"


def is_junk(path: str) -> bool:
    """Whether a folder in a relative path is one that systems make by themselves."""
    return any(part in _JUNK for part in path.lower().split("/"))


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below a folder, as paths relative to it with '/' between their parts; no hidden ones.

    Args:
        files: those with the endings that were asked for, folder by folder.
        folders: all of them, as far as they are known: in an object store, a folder without files is none.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...] = ()

    @staticmethod
    def of(files: Iterable[str], folders: Iterable[str] = ()) -> Listing:
        """The paths in the order of their parts, in which a/b.png comes before a-b.png."""
        return Listing(tuple(_in_order(files)), tuple(_in_order(folders)))


def _in_order(paths: Iterable[str]) -> list[str]:
    shown = (path for path in paths if not path.startswith(".") and "/." not in path)
    # The smallest character, which no name has, in place of the slash: as fast as sorting text.
    return sorted(shown, key=lambda path: path.replace("/", "\0"))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of a data set that are not used.

    Args:
        what: their kind, such as 'image'.
        why: where they lie, and why they are not used.
        example: one of them.
    """

    count: int
    what: str
    why: str
    example: str

    def __str__(self) -> str:
        return f"{self.count:,} {self.what}{'s' * (self.count > 1)} {self.why} ({self.example})"


def list_folder(folder: Path, endings: Iterable[str]) -> Listing:
    """Lists a folder on this machine at any depth.

    Links are followed. One that leads back to a folder on the way to it is left out, with a warning.

    Args:
        endings: such as '.png'; files may have them in capital letters too.
    Raises:
        DataError: a folder can't be read, or a link leads nowhere.
    """
    files: list[str] = []
    folders: list[str] = []
    allowed = tuple(endings)
    for within, below, contents in _walk(folder, "", _way_to(folder)):
        folders += (within + path.name for path in below)
        files += (within + path.name for path in contents if path.name.lower().endswith(allowed))
    return Listing.of(files, folders)


def files_below(folder: Path, endings: Iterable[str]) -> list[Path]:
    """The files of `list_folder`, with the folder before them."""
    return [folder / file for file in list_folder(folder, endings).files]


def _walk(folder: Path, within: str, way: frozenset[str]) -> Iterator[tuple[str, list[Path], list[Path]]]:
    """(prefix of relative paths, folders, files) of each folder; `way` as in _contents."""
    folders, files = _contents(folder, way)
    yield within, folders, files
    for below in folders:
        yield from _walk(below, f"{within}{below.name}/", way | {os.path.realpath(below)})


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


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """Parquet files, as relative paths, by split, and those that belong to none.

    Args:
        places: what the files of each split are called.
    """

    splits: dict[Split, list[str]]
    places: dict[Split, str]
    left_out: tuple[LeftOut, ...]


def read_shards(files: Iterable[str], source: str) -> ShardLayout:
    """Groups Parquet files, as relative paths, by split; see `by_split`.

    Args:
        source: what messages call the place that was listed.
    Raises:
        DataError: all are named as test or validation data.
    """
    shown = [file for file in files if not is_junk(file)]
    splits = by_split(shown, PurePosixPath)
    if splits and "train" not in splits:
        raise DataError(
            f"All Parquet files in {source} are named as test or validation data: {_listing(shown)}. "
            "Training data is needed: put train into the names of its files or folders. To use one of these "
            "files anyway, set data.source to its path."
        )
    placed = {file for chosen in splits.values() for file in chosen}
    rest: dict[Part | None, list[str]] = {}
    for file in shown:
        if file not in placed:
            rest.setdefault(part_of_path(PurePosixPath(file)), []).append(file)
    return ShardLayout(
        splits,
        {split: _listing(chosen, 1) for split, chosen in splits.items()},
        tuple(LeftOut(len(files), "Parquet file", _REASONS[part], files[0]) for part, files in rest.items()),
    )


def _listing(files: Sequence[str], shown: int = 3) -> str:
    """The first names, and the number of the others."""
    more = f" and {len(files) - shown} more" if len(files) > shown else ""
    return ", ".join(files[:shown]) + more


def by_split(items: Iterable[_Item], path_of: Callable[[_Item], PurePath]) -> dict[Split, list[_Item]]:
    """Groups items by split, as their paths tell; a split without items is left out.

    The train split consists of the items named train, or else of those whose names tell no split. The
    validation split consists of those named val or validation, or else of those named test.
    """
    parts: dict[str, list[_Item]] = {}
    for item in items:
        parts.setdefault(part_of_path(path_of(item)) or "unnamed", []).append(item)
    found = {
        "train": parts.get("train") or parts.get("unnamed"),
        "validation": parts.get("validation") or parts.get("test"),
    }
    return {split: found[split] or [] for split in SPLITS if found[split]}


def part_of_path(path: PurePath) -> Part | None:
    """The part that the file's name tells, or else that of the innermost folder whose name tells one."""
    parts = (part_of_name(name) for name in reversed(path.parts))
    return next((part for part in parts if part), None)
