"""Lists images that have a label beside them, as in the WebDataset layout: in tar files, or in a folder.

Names from a tar file are compared with each other and never used as a path.
"""

from __future__ import annotations

import logging
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from raynas.data.class_folders import IMAGE_ENDINGS
from raynas.data.stream.location import Location, reason_of
from raynas.data.stream.webdataset import (
    CLASS_ENDINGS,
    MAX_LABEL_BYTES,
    Label,
    SampleLabels,
    check_one_kind,
    label_ending,
)
from raynas.errors import DataError

_logger = logging.getLogger(__name__)


class LabelledImage(NamedTuple):
    """An image as a range of bytes of a file, and its label.

    Args:
        folders: all that may tell the split: folders above the tar file, its name, and folders in it.
    """

    file: str
    offset: int
    num_bytes: int
    name: str
    folders: PurePosixPath
    label: Label


class _Image(NamedTuple):
    file: str
    offset: int
    num_bytes: int
    path: PurePosixPath


@dataclass(slots=True)
class _Part:
    """The images and labels of a folder, or of one tar file without the tar files in it."""

    labels: SampleLabels
    above: PurePosixPath
    images: list[_Image] = field(default_factory=list)
    num_other_files: int = 0

    def labelled(self) -> list[LabelledImage]:
        found = self.labels.of([image.path for image in self.images])
        return [
            LabelledImage(*image[:3], image.path.name, self.above / image.path.parent, label)
            for image, label in zip(self.images, found, strict=True)
        ]


def labelled_images(location: Location, tars: Sequence[str]) -> list[LabelledImage] | None:
    """The images with their labels; None if none of them has a label.

    Args:
        location: the source, on this machine.
        tars: paths of its tar files; if one is compressed, nothing is read. Without any, the files of the
            folder itself are taken.
    Raises:
        DataError: a file can't be read, an image has no label or one of no use, or only some are numbers.
    """
    if not all(tar.lower().endswith(".tar") for tar in tars):
        return None
    if tars:
        parts = [part for tar in tars for part in _of_tar(location, tar)]
    else:
        label_files = location.files(CLASS_ENDINGS) if location.is_folder else []
        parts = [_of_folder(location, label_files)] if label_files else []
    num_labels = sum(len(part.labels) for part in parts)
    if not num_labels:
        num_other_files = sum(part.num_other_files for part in parts)
        if num_other_files:
            _logger.warning(
                "classes are those of folders  other_files=%d: none of these holds a label, as 0.cls beside "
                "0.jpg does, or 'label' in 0.json",
                num_other_files,
            )
        return None
    images = [image for part in parts for image in part.labelled()]
    check_one_kind([(image.label, f"{image.name} in {image.file}") for image in images])
    if len(images) < num_labels:
        _logger.warning("labels without an image are ignored  labels=%d", num_labels - len(images))
    return images


def _of_folder(location: Location, label_files: Sequence[str]) -> _Part:
    part = _Part(SampleLabels(location.path), PurePosixPath())
    try:
        for file in label_files:
            with open(file, "rb") as stream:
                part.labels.add(location.relative(file), stream.read(MAX_LABEL_BYTES + 1))
        for file in location.files(IMAGE_ENDINGS):
            part.images.append(_Image(file, 0, os.path.getsize(file), location.relative(file)))
    except OSError as error:
        raise DataError(f"{error.filename} can't be read: {error.strerror}. Restore it.") from error
    return part


def _of_tar(location: Location, file: str) -> list[_Part]:
    # The folders above the tar file may tell the split, and so may its own name.
    above = location.relative(file) if location.is_folder else PurePosixPath(Path(file).name)
    try:
        with open(file, "rb") as stream:
            return list(_of_stream(stream, file, above, inner_tar="", base=0))
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"{file} can't be read as a tar file: {reason_of(error)}. Download it again."
        ) from error


def _of_stream(
    stream: IO[bytes], file: str, above: PurePosixPath, *, inner_tar: str, base: int
) -> Iterator[_Part]:
    """What the tar files in an open tar file hold, and then what it holds itself.

    Args:
        file: the outermost tar file, which images are read from.
        inner_tar: name of this tar file, if it lies in another.
        base: position in `file` where this tar file begins.
    """
    part = _Part(SampleLabels(f"{inner_tar} in {file}" if inner_tar else file), above)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (info := tar.next()) is not None:
            # tarfile keeps every member that it has read, and there may be millions.
            tar.members = []  # type: ignore[attr-defined]
            path = PurePosixPath(info.name)
            if not info.isreg() or path.name.startswith("."):
                continue
            if path.suffix.lower() in IMAGE_ENDINGS:
                part.images.append(_Image(file, base + info.offset_data, info.size, path))
                continue
            is_tar = path.suffix.lower() == ".tar" and not inner_tar
            content = tar.extractfile(info) if is_tar or label_ending(path.name) else None
            if content is not None and is_tar:
                begin = base + info.offset_data
                yield from _of_stream(content, file, above / path, inner_tar=path.name, base=begin)
            elif content is None or not part.labels.add(path, content.read(MAX_LABEL_BYTES + 1)):
                part.num_other_files += 1
    yield part
