"""Paths of the images of tar files, as if all were unpacked into one folder, for tree_layout.py to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from raynas.data.layout import part_of_path


@dataclass(frozen=True, slots=True)
class TarPaths:
    """A relative path for each image.

    Args:
        held_out_alone: all tar files are named as validation or test data, so that the paths don't tell it.
    """

    paths: list[str]
    held_out_alone: bool


def paths_of_members(members: Iterable[tuple[PurePosixPath, str, str]]) -> TarPaths:
    """Paths in which a tar file's name is a folder only if it tells a part of the data set.

    Tar files whose names tell no part are shards of one data set, unless the names of others do tell one.

    Args:
        members: the folders above the class folder, beginning with those of the outermost tar file and its
            name; the class folder; the image's name.
    """
    split = [(*_split_at_tar(folders), class_name, name) for folders, class_name, name in members]
    parts = {tar: part_of_path(tar) for tar, *_ in split}
    held_out_alone = set(parts.values()) in ({"validation"}, {"test"})
    above = {
        tar: "" if held_out_alone else part or (tar.stem if any(parts.values()) else "")
        for tar, part in parts.items()
    }
    paths = [_joined([above[tar], *within, class_name, name]) for tar, within, class_name, name in split]
    return TarPaths(paths, held_out_alone)


def _split_at_tar(folders: PurePosixPath) -> tuple[PurePosixPath, tuple[str, ...]]:
    """The outermost tar file, and the folders in it."""
    names = folders.parts
    end = next((place for place, name in enumerate(names, 1) if name.lower().endswith(".tar")), len(names))
    return PurePosixPath(*names[:end]), names[end:]


def _joined(names: Iterable[str]) -> str:
    # A name from a tar file may point outside, and is never used as a path on the disk.
    return "/".join(name for name in names if name.strip("/") not in ("", ".", ".."))
