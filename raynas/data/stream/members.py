"""Lists the images that a conversion reads: files in class folders, or members of tar files.

Every image is a range of bytes of a file, so that images can be read in random order. Nothing is unpacked to
disk, and no name from a tar file is used as a path.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from raynas.data.class_folders import IMAGE_ENDINGS, LOOKED_AT, find_classes, found_in
from raynas.data.decode import EncodedImage
from raynas.data.foreign.read import read_foreign
from raynas.data.foreign.recognise import kind_of
from raynas.data.found import Found
from raynas.data.layout import Listing, ShardLayout, Split, by_split, read_shards
from raynas.data.parquet import open_parquet
from raynas.data.parquet_columns import Columns, common_class_names
from raynas.data.shard import open_shard
from raynas.data.source_images import SourceSplits
from raynas.data.stream.labelled import LabelledImage, labelled_images
from raynas.data.stream.location import LOCAL, Location, locate, reason_of
from raynas.data.stream.rows import Row, rows_of
from raynas.data.stream.tar_layout import paths_of_members
from raynas.data.stream.tree import list_tree
from raynas.data.tree_layout import ClassImage, TreeLayout, read_tree
from raynas.errors import DataError

_NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")
"""The braces in train-{000..009}.tar, as WebDataset writes the names of shards."""
_MAX_TARS = 1_000_000
_USUAL = Columns()
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

    def encoded(self) -> EncodedImage:
        """The encoded image with its name in messages; errors as `read`."""
        return EncodedImage(Path(self.where), content=self.read())

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
    """The images of `list_members`, by split; without those of Parquet files."""
    return {
        split: [member for member in members if isinstance(member, Member)]
        for split, members in list_members(source).splits.items()
    }


def list_members(source: str, columns: Columns = _USUAL) -> SourceSplits:
    """Lists the images of a source on this machine, by split, whatever `raynas convert` reads.

    Labels beside the images, as in the WebDataset layout, count before folders.

    Args:
        source: a folder or a file, or a pattern as 'train-{000..009}.tar' for several tar files.
        columns: those of Parquet files.
    Raises:
        DataError: the source is missing, remote, compressed or broken, no image has a class, or an image is
            too small or too large.
    """
    pattern = None if os.path.exists(source) else _NUMBERS.search(source)
    location = locate((os.path.dirname(source) or ".") if pattern else source)
    if location.uri != LOCAL:
        raise DataError(f"{location.source!r} is remote; only local files are converted. Copy it here.")
    if pattern is None and (kind := kind_of(Path(location.path))) is not None:
        return read_foreign(Path(location.path), kind, columns)
    if pattern is None and (shards := _parquet_files(location)) is not None:
        return _of_parquet(location, shards, columns)
    if pattern is not None:
        tars = _numbered(source, pattern)
    else:
        tars = location.files((".tar", *_COMPRESSED)) if location.is_folder else [location.path]
    labelled = labelled_images(location, tars)
    if labelled is not None:
        splits = by_split((_of_label(image) for image in labelled), lambda member: member.folders)
        return SourceSplits(splits, _found_labels(splits))
    if not tars or (pattern is None and _has_classes(location)):
        return _in_splits(list_tree(location), {}, location)
    members = [member for tar in tars for member in _of_tar(location, tar)]
    if not members:
        raise DataError(
            f"There are no images in {location.source!r}. Allowed endings: {', '.join(IMAGE_ENDINGS)}."
        )
    return _of_tars(location, members)


def _parquet_files(location: Location) -> ShardLayout | None:
    """The Parquet files of a folder, or a location that is itself one; None if there are none."""
    if location.is_folder:
        layout = read_shards(location.listing((".parquet",)).files, location.source)
        return layout if layout.splits else None
    is_shard = location.path.lower().endswith(".parquet")
    return ShardLayout({"train": [""]}, {}, ()) if is_shard else None


def _of_parquet(location: Location, layout: ShardLayout, columns: Columns) -> SourceSplits:
    path = Path(location.path)
    source = open_parquet(path, layout if location.is_folder else None, columns)
    held_out = [open_shard(path / file, columns) for file in layout.splits.get("validation", [])]
    names = common_class_names((shard.file, shard.class_names) for shard in (*source.shards, *held_out))
    splits: dict[Split, list[Row]] = {"train": [row for shard in source.shards for row in rows_of(shard)]}
    if held_out:
        splits["validation"] = [row for shard in held_out for row in rows_of(shard)]
    numbered = None if names is None else {str(number): name for number, name in enumerate(names)}
    return SourceSplits(splits, source.found, numbered)


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


def _found_labels(splits: Mapping[Split, Sequence[Member]]) -> Found:
    counts = {
        split: dict(sorted(Counter(member.class_name for member in members).items()))
        for split, members in splits.items()
    }
    first = next(iter(counts.values()))
    is_numbered = any(member.is_numbered for members in splits.values() for member in members)
    return Found(
        kind="images with labels beside them",
        num_classes=max(map(int, first)) + 1 if is_numbered else len(first),
        class_names=None if is_numbered else tuple(first),
        num_images={split: len(members) for split, members in splits.items()},
        counts=counts,
    )


def _has_classes(location: Location) -> bool:
    """Whether a folder has class folders, beside which a tar file is perhaps what they were unpacked from."""
    if not location.is_folder:
        return False
    images = read_tree(location.listing(IMAGE_ENDINGS)).splits.get("train", ())
    return len({image.class_name for image in images}) > 1


def _of_tars(location: Location, members: Sequence[Member]) -> SourceSplits:
    """The images of tar files, by what their names and the folders in them tell, as of one folder."""
    paths = paths_of_members((member.folders, member.class_name, member.name) for member in members)
    by_path: dict[str, deque[Member]] = {}
    for path, member in zip(paths.paths, members, strict=True):
        # Several tar files may have a path in common.
        by_path.setdefault(path, deque()).append(member)
    listed = _in_splits(find_classes(Listing.of(paths.paths), location.source), by_path, location)
    if paths.held_out_alone:
        return SourceSplits({"validation": listed.splits["train"]}, listed.found)
    return listed


def _in_splits(layout: TreeLayout, by_path: Mapping[str, deque[Member]], location: Location) -> SourceSplits:
    """The members of a layout's images: the next one at each path, or else the file of the folder itself."""

    def member_of(image: ClassImage) -> Member:
        path = image.path
        member = by_path[path].popleft() if path in by_path else _of_file(location.path_of(path))
        return replace(member, class_name=image.class_name)

    splits = {split: [member_of(image) for image in images] for split, images in layout.splits.items()}
    train = splits["train"]
    found = found_in(layout).with_sizes(lambda number: train[number].encoded(), LOOKED_AT)
    return SourceSplits(splits, found)


def _of_file(path: str) -> Member:
    return Member(path, 0, Path(path).stat().st_size, Path(path).name, "", PurePosixPath())


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
                # Whether an image that lies in no folder is left out is decided when all are known.
                name = class_name or path.parent.name
                above = folders if class_name else folders / path.parent.parent
                yield Member(file, base + info.offset_data, info.size, path.name, name, above)
