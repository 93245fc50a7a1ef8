"""Folders with one sub folder of images per class: what reading them in memory and streaming them share.

tree_layout.py decides which folders are classes; here is what is refused, and how classes are numbered.
"""

# Shapes: N images.

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raynas.data.found import Found
from raynas.data.layout import Listing, Split, role_of_name
from raynas.data.tree_layout import ClassImage, TreeLayout, read_tree
from raynas.errors import DataError

IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif"),
)
LOOKED_AT = 64
"""Image files whose size is looked at before anything is trained."""


def find_classes(listing: Listing, source: str) -> TreeLayout:
    """The classes and splits of a listing.

    Args:
        source: what messages call the place that was listed.
    Raises:
        DataError: there are no images, no class folders, or a class folder without images.
    """
    layout = read_tree(listing)
    images = layout.splits.get("train", [])
    if not images:
        loose = next((some.example for some in layout.left_out), None)
        raise no_class(f"{source}/{loose}") if loose else no_images(source)
    if layout.empty_classes:
        raise DataError(
            f"The sub folders {', '.join(layout.empty_classes)} of {source} have no images, and every sub "
            "folder is a class. Remove them or put images into them."
        )
    names = sorted({image.class_name for image in images})
    # A single folder 'train' is refused as a single class.
    if not layout.places and names != ["train"] and all(role_of_name(name) for name in names):
        raise DataError(
            f"The sub folders of {source} are parts of a data set and not classes: {', '.join(names)}. "
            "Training data is needed: one sub folder per class, in the folder itself or in its sub folder "
            "'train'."
        )
    return layout


def classes_of(layout: TreeLayout, split: Split = "train") -> tuple[str, ...]:
    """Names of the classes of a split, sorted; those for training, if it has no others."""
    names = {image.class_name for image in layout.splits["train"]}
    own = {image.class_name for image in layout.splits[split]}
    return tuple(sorted(names if own <= names else own))


def number_classes(images: Sequence[ClassImage], class_names: Sequence[str]) -> NDArray[np.int64]:
    """labels_N: the number of each image's class among `class_names`."""
    numbers = {name: number for number, name in enumerate(class_names)}
    return np.array([numbers[image.class_name] for image in images], dtype=np.int64)


def found_in(layout: TreeLayout) -> Found:
    """What the layout holds, but for the sizes of the images."""
    class_names = classes_of(layout)
    return Found(
        kind=layout.kind,
        num_classes=len(class_names),
        class_names=class_names,
        num_images={split: len(images) for split, images in layout.splits.items()},
        counts={
            split: dict(Counter(image.class_name for image in images))
            for split, images in layout.splits.items()
        },
        places=layout.places,
        left_out=layout.left_out,
    )


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
