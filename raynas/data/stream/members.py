"""Lists the images that a conversion reads: files in class folders, or members of tar files.

Every image is a range of bytes of a file, so that images can be read in random order. Nothing is unpacked to
disk, and no name from a tar file is used as a path.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from raynas.data.class_folders import IMAGE_ENDINGS
from raynas.data.layout import Split, by_split
from raynas.data.stream.labelled import LabelledImage, labelled_images
from raynas.data.stream.location import LOCAL, Location, locate, reason_of
from raynas.data.stream.tree import tree_files
from raynas.errors import DataError

_NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")
"""The braces in train-{000..009}.tar, as WebDataset writes the names of shards."""
_MAX_TARS = 1_000_000
_COMPRESSED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")


@dataclass(frozen=True, slots=True)
class Member:
    """An image, as a range of bytes of a file.

    Args:
        name: file name of the image, without folders.
        class_name: the class's name, or its number as text.
        folders: the folders above the class folder, whose names tell the split.
        is_numbered: the source numbers its classes and doesn't name them.
    """

    file: str
    offset: int
    num_bytes: int
    name: str
    class_name: str
    folders: PurePosixPath
    is_numbered: bool = False

    @property
    def where(self) -> str:
        """Name of the image in messages."""
        return f"{self.class_name}/{self.name} in {self.file}" if self.offset else self.file

    def read(self) -> bytes:
        """Reads the encoded image.

        Raises:
            DataError: the file is missing or truncated.
        """
        try:
            with open(self.file, "rb") as stream:
                stream.seek(self.offset)
                content = stream.read(self.num_bytes)
        except OSError as error:
            raise DataError(f"{self.file} can't be read: {error.strerror}. Restore it.") from error
        if len(content) < self.num_bytes:
            raise DataError(f"{self.file} is truncated: it ends inside {self.name}. Download it again.")
        return content


def find_members(source: str) -> dict[Split, list[Member]]:
    """Lists the images of class folders, a tar file or a folder of tar files on this machine, by split.

    Labels beside the images, as in the WebDataset layout, count before folders.

    Args:
        source: a folder or a tar file, or a pattern as 'train-{000..009}.tar' for several tar files.
    Raises:
        DataError: the source is missing, remote, compressed or broken, or an image has no class.
    """
    pattern = None if os.path.exists(source) else _NUMBERS.search(source)
    location = locate((os.path.dirname(source) or ".") if pattern else source)
    if location.uri != LOCAL:
        raise DataError(f"{location.source!r} is remote; only local files are converted. Copy it here.")
    if pattern is not None:
        tars = _numbered(source, pattern)
    else:
        tars = location.files((".tar", *_COMPRESSED)) if location.is_folder else [location.path]
    labelled = labelled_images(location, tars)
    if labelled is not None:
        return by_split((_of_label(image) for image in labelled), lambda member: member.folders)
    if not tars:
        return {
            split: [_of_file(file.path, file.class_name) for file in files]
            for split, files in tree_files(location).items()
        }
    members = [member for tar in tars for member in _of_tar(location, tar)]
    if not members:
        raise DataError(
            f"There are no images in {location.source!r}. Allowed endings: {', '.join(IMAGE_ENDINGS)}."
        )
    return by_split(members, lambda member: member.folders)


def _numbered(source: str, pattern: re.Match[str]) -> list[str]:
    """Paths of the tar files that a pattern means."""
    first, last = pattern.groups()
    if not 0 <= int(last) - int(first) < _MAX_TARS:
        raise DataError(
            f"{source!r} counts from {first} to {last}. Allowed are 1 to {_MAX_TARS:,} tar files: correct it."
        )
    names = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    return [locate(source[: pattern.start()] + name + source[pattern.end() :]).path for name in names]


def _of_label(image: LabelledImage) -> Member:
    return Member(
        image.file,
        image.offset,
        image.num_bytes,
        image.name,
        class_name=str(image.label),
        folders=image.folders,
        is_numbered=isinstance(image.label, int),
    )


def _of_file(path: str, class_name: str) -> Member:
    return Member(path, 0, Path(path).stat().st_size, Path(path).name, class_name, PurePosixPath())


def _of_tar(location: Location, file: str) -> Iterator[Member]:
    if not file.lower().endswith(".tar"):
        advice = (
            "Decompress it first" if file.lower().endswith(_COMPRESSED) else "Use a folder or a .tar file"
        )
        raise DataError(
            f"{file} is not an uncompressed tar file, and only those can be read in random order. {advice}."
        )
    # The folders above the tar file may tell the split, and so may its own name.
    folders = location.relative(file) if location.is_folder else PurePosixPath(Path(file).name)
    try:
        with open(file, "rb") as stream:
            yield from _of_stream(stream, file, folders, class_name=None, base=0)
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"{file} can't be read as a tar file: {reason_of(error)}. Download it again."
        ) from error


def _of_stream(
    stream: IO[bytes], file: str, folders: PurePosixPath, *, class_name: str | None, base: int
) -> Iterator[Member]:
    """The images of an open tar file, and of the tar files in it.

    Args:
        file: the outermost tar file, which images are read from.
        folders: the folders above this tar file, whose names tell the split.
        class_name: class of all images: the name of a tar file inside a tar file. None takes each image's
            class from its folder.
        base: position in `file` where this tar file begins.
    """
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (info := tar.next()) is not None:
            # tarfile keeps every member that it has read, and there may be millions.
            tar.members = []  # type: ignore[attr-defined]
            path = PurePosixPath(info.name)
            if not info.isreg() or path.name.startswith("."):
                continue
            if path.suffix.lower() == ".tar" and class_name is None:
                inner = tar.extractfile(info)
                assert inner is not None
                yield from _of_stream(
                    inner, file, folders / path.parent, class_name=path.stem, base=info.offset_data
                )
            elif path.suffix.lower() in IMAGE_ENDINGS:
                name = class_name or _class_folder(path, file)
                above = folders if class_name else folders / path.parent.parent
                yield Member(file, base + info.offset_data, info.size, path.name, name, above)


def _class_folder(path: PurePosixPath, file: str) -> str:
    name = path.parent.name
    if name in ("", ".", ".."):
        raise DataError(
            f"The image {path} in {file} has no class. Allowed: CLASS/IMAGE in a tar file, or one tar file "
            "per class inside it. Unpack it into one folder per class, and convert that folder."
        )
    return name
