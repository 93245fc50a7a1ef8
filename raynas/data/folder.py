"""Reads a folder with one sub folder of images per class, like torchvision's ImageFolder."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raynas.data.class_folders import (
    LOOKED_AT,
    classes_of,
    found_in,
    number_classes,
)
from raynas.data.decode import DecodedImages, EncodedImage, decode_images
from raynas.data.found import Found
from raynas.data.label_table import read_folder
from raynas.data.layout import Split, part_of_name
from raynas.data.own_validation import JoinedSource, joined
from raynas.data.tree_layout import TreeLayout


@dataclass(frozen=True, slots=True, eq=False)
class FolderSource:
    """Image files for training, sorted by class and path; class i is the i-th folder in sorted order."""

    name: str
    files: tuple[Path, ...]
    labels_N: NDArray[np.int64]
    class_names: tuple[str, ...]
    found: Found

    @property
    def num_classes(self) -> int:
        """Number of class folders."""
        return len(self.class_names)

    def decode(
        self, rows_N: NDArray[np.int64], *, image_size: int | None, max_image_size: int
    ) -> DecodedImages:
        """Decodes the images of these rows; see ImageSource."""
        return decode_images(self.encoded_rows(rows_N), image_size=image_size, max_image_size=max_image_size)

    def encoded_rows(self, rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """See FileSource."""
        return [EncodedImage(self.files[row]) for row in rows_N]


def open_folder(folder: Path, table: Path | None = None) -> FolderSource | JoinedSource:
    """Lists the classes and the images of a folder; see `read_tree`.

    Its validation images, such as those in val/, are joined to its training images. A test set is not.

    Args:
        table: a CSV file of labels in the folder; see `read_folder`.
    Raises:
        DataError: no images, no class folders, a class folder without images, a folder that can't be read,
            or an image that is too small or too large.
    """
    layout = read_folder(folder, table)
    source = _split_source(folder, layout, "train")
    place = layout.places.get("validation", "")
    if "validation" in layout.splits and part_of_name(place) == "validation":
        return joined(source, _split_source(folder, layout, "validation"), place)
    return source


def _split_source(folder: Path, layout: TreeLayout, split: Split) -> FolderSource:
    class_names, images = classes_of(layout, split), layout.splits[split]
    files = tuple(folder / image.path for image in images)
    found = found_in(layout)
    if split == "train":
        found = found.with_sizes(lambda number: EncodedImage(files[number]), LOOKED_AT)
    return FolderSource(
        name=folder.resolve().name,
        files=files,
        labels_N=number_classes(images, class_names),
        class_names=class_names,
        found=found,
    )
