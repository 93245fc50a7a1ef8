"""Streams a folder with one sub folder of images per class, file by file."""

# Shapes: N images, by their number in the data set, from 0.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raynas.data.class_folders import IMAGE_ENDINGS, no_class, no_images, number_classes
from raynas.data.decode import EncodedImage
from raynas.data.layout import Split, by_split, role_of_name
from raynas.data.stream.images import PIECE_IMAGES, EncodedPiece
from raynas.data.stream.location import Location, filesystem_of, reason_of
from raynas.errors import DataError


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file and the class folder that it lies in."""

    path: str
    class_name: str


@dataclass(frozen=True, slots=True, eq=False)
class TreeImages:
    """An ImageSet of files. As files can be read in any order, a shuffled piece consists of random images."""

    uri: str
    files: tuple[str, ...]
    labels_N: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def num_images(self) -> int:
        """See ImageSet."""
        return len(self.files)

    @property
    def num_classes(self) -> int:
        """Number of class folders."""
        return len(self.class_names)

    def pieces(self, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
        """See ImageSet."""
        numbers_N = np.arange(self.num_images) if rng is None else rng.permutation(self.num_images)
        return np.split(numbers_N, range(PIECE_IMAGES, self.num_images, PIECE_IMAGES))

    def piece(self, numbers_N: NDArray[np.int64]) -> TreePiece:
        """See ImageSet."""
        files = tuple(self.files[number] for number in numbers_N)
        return TreePiece(self.uri, files, self.labels_N[numbers_N])


@dataclass(frozen=True, slots=True, eq=False)
class TreePiece:
    """A Piece of some files; `uri` as in Location."""

    uri: str
    files: tuple[str, ...]
    labels_N: NDArray[np.int64]

    def read(self) -> EncodedPiece:
        """See Piece."""
        return EncodedPiece([self._image(file) for file in self.files], self.labels_N)

    def _image(self, file: str) -> EncodedImage:
        try:
            with filesystem_of(self.uri).open_input_file(file) as stream:
                return EncodedImage(Path(file), content=stream.read())
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file} can't be read: {reason_of(error)}. Restore or remove it.") from error


def tree_files(location: Location) -> dict[Split, list[ImageFile]]:
    """Finds the images of train/CLASS/... and val/CLASS/..., or else of CLASS/..., which are all for train.

    Raises:
        DataError: there are no images, or an image lies in no class folder.
    """
    files = location.files(IMAGE_ENDINGS) if location.is_folder else []
    if not files:
        raise no_images(location.source)
    paths = {file: location.relative(file) for file in files}
    splits: dict[Split, list[str]] = {"train": files}
    # A folder 'train' that holds only images is itself a class, for example of railway trains.
    has_splits = any(
        len(path.parts) > 2 and role_of_name(path.parts[0]) == "train" for path in paths.values()
    )
    if has_splits:
        named = [file for file in files if role_of_name(paths[file].parts[0])]
        splits = by_split(named, lambda file: PurePosixPath(paths[file].parts[0]))
    depth = 1 if has_splits else 0
    return {split: [_file(file, paths[file].parts[depth:]) for file in splits[split]] for split in splits}


def open_tree(location: Location) -> dict[Split, TreeImages]:
    """Opens the splits of class folders; class i is the i-th folder in sorted order."""
    return {split: _images(location, files) for split, files in tree_files(location).items()}


def _file(file: str, parts: tuple[str, ...]) -> ImageFile:
    if len(parts) < 2:
        raise no_class(file)
    return ImageFile(file, parts[0])


def _images(location: Location, files: Sequence[ImageFile]) -> TreeImages:
    class_names, labels_N = number_classes([file.class_name for file in files])
    return TreeImages(
        uri=location.uri,
        files=tuple(file.path for file in files),
        labels_N=labels_N,
        class_names=class_names,
    )
