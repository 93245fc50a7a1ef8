"""Folders with one sub folder of images per class: what reading them in memory and streaming them share.

Listing them is not shared, because the two differ: in memory (data/folder.py) an empty class folder is an
error; streamed (data/stream/tree.py), it is no class.
"""

# Shapes: N images.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raynas.errors import DataError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".tif", ".tiff")


def number_classes(classes_of_images: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names in sorted order, and labels_N: the number of each image's class among them."""
    names = sorted(set(classes_of_images))
    numbers = {name: number for number, name in enumerate(names)}
    return tuple(names), np.array([numbers[name] for name in classes_of_images], dtype=np.int64)


def no_images(folder: str) -> DataError:
    """The error for a folder in which there is nothing to read."""
    return DataError(
        f"{folder} has neither Parquet files nor images. Allowed are *.parquet, or one sub folder per class "
        f"with images ({', '.join(IMAGE_ENDINGS)}). Point data.source to such a folder; 'raynas "
        "convert' makes Parquet files of tar files, those of WebDataset too."
    )


def no_class(image: str) -> DataError:
    """The error for an image that lies in no class folder."""
    return DataError(
        f"The image {image} has no class. Put images into one sub folder per class: CLASS/*.png, or "
        "train/CLASS/*.png and val/CLASS/*.png."
    )
