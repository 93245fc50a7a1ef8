"""Streams a folder with one sub folder of images per class, file by file."""

# Shapes: N images, by their number in the data set, from 0.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raynas.data.class_folders import (
    IMAGE_ENDINGS,
    LOOKED_AT,
    classes_of,
    find_classes,
    found_in,
    number_classes,
)
from raynas.data.decode import EncodedImage
from raynas.data.found import Found
from raynas.data.label_table import read_folder
from raynas.data.layout import Listing, Split
from raynas.data.stream.images import PIECE_IMAGES, EncodedPiece
from raynas.data.stream.location import LOCAL, Location, filesystem_of, reason_of
from raynas.data.tree_layout import TreeLayout
from raynas.errors import DataError


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

    def encoded(self, number: int) -> EncodedImage:
        """The image of one number; DataError if it can't be read."""
        return self.piece(np.array([number])).read().images[0]

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


def list_tree(location: Location, table: Path | None = None) -> TreeLayout:
    """The classes and splits of a folder of class folders, or of one with a table of labels.

    Args:
        table: see `read_folder`; a bucket has none.

    Raises:
        DataError: there are no images or no classes, or a class folder is empty.
    """
    if location.uri == LOCAL and location.is_folder:
        return read_folder(Path(location.path), table)
    listing = location.listing(IMAGE_ENDINGS) if location.is_folder else Listing(())
    return find_classes(listing, location.source)


def open_tree(location: Location, table: Path | None = None) -> tuple[dict[Split, TreeImages], Found]:
    """Opens the splits of class folders; class i is the i-th training folder in sorted order.

    Raises:
        DataError: as `list_tree`, or an image is too small or too large.
    """
    layout = list_tree(location, table)
    splits = {split: _images(location, layout, split) for split in layout.splits}
    return splits, found_in(layout).with_sizes(splits["train"].encoded, LOOKED_AT)


def _images(location: Location, layout: TreeLayout, split: Split) -> TreeImages:
    images, class_names = layout.splits[split], classes_of(layout, split)
    return TreeImages(
        uri=location.uri,
        files=tuple(location.path_of(image.path) for image in images),
        labels_N=number_classes(images, class_names),
        class_names=class_names,
    )
