"""Reads a folder with one sub folder of images per class, like torchvision's ImageFolder."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raynas.data.class_folders import IMAGE_ENDINGS, no_class, no_images, number_classes
from raynas.data.decode import EncodedImage, decode_images
from raynas.data.layout import files_below, role_of_name, sub_folders
from raynas.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class FolderSource:
    """Image files sorted by class and path; class i is the i-th sub folder in sorted order."""

    name: str
    files: tuple[Path, ...]
    labels_N: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Number of sub folders."""
        return len(self.class_names)

    def decode(self, rows_N: NDArray[np.int64], *, image_size: int | None) -> NDArray[np.uint8]:
        """Decodes the images of these rows; see ImageSource."""
        return decode_images([EncodedImage(self.files[row]) for row in rows_N], image_size=image_size)


def open_folder(folder: Path) -> FolderSource:
    """Lists the classes and image files of a folder, or of its sub folder train/.

    Raises:
        DataError: no images, no class folders, a class folder without images, or a folder that can't be read.
    """
    root = _train_folder(folder)
    files_of_class = {sub.name: files_below(sub, IMAGE_ENDINGS) for sub in sub_folders(root)}
    if not any(files_of_class.values()):
        loose = files_below(root, IMAGE_ENDINGS)
        raise no_class(str(loose[0])) if loose else no_images(str(root))
    _check_classes(root, files_of_class)
    class_names, labels_N = number_classes([name for name, files in files_of_class.items() for _ in files])
    return FolderSource(
        name=folder.resolve().name,
        files=tuple(file for files in files_of_class.values() for file in files),
        labels_N=labels_N,
        class_names=class_names,
    )


def _train_folder(folder: Path) -> Path:
    for name in ("train", "training"):
        # A folder 'train' that holds only images is itself a class, for example of railway trains.
        if (folder / name).is_dir() and sub_folders(folder / name):
            return folder / name
    return folder


def _check_classes(folder: Path, files_of_class: dict[str, list[Path]]) -> None:
    empty = [name for name, files in files_of_class.items() if not files]
    if empty:
        raise DataError(
            f"The sub folders {', '.join(empty)} of {folder} have no images, and every sub folder is a "
            "class. Remove them or put images into them."
        )
    if all(role_of_name(name) for name in files_of_class):
        names = ", ".join(files_of_class)
        raise DataError(
            f"The sub folders of {folder} are parts of a data set and not classes: {names}. "
            "Allowed is one sub folder per class, in the folder itself or in its sub folder 'train'."
        )
