"""Images and labels in arrays: what is allowed, and images that become PNGs, which lose nothing."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raynas.data.decode import MIN_SIDE, EncodedImage
from raynas.data.layout import LeftOut, Split
from raynas.data.parquet_columns import LabelCounts, found_by_labels
from raynas.data.source_images import SourceSplits
from raynas.errors import DataError

MAX_CLASSES = 1_000_000
"""One more than the largest label that is allowed where the classes have no names."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledArrays:
    """Images of a split, N x H x W (grey) or N x H x W x C with 1, 3 or 4 channels, and their labels.

    Args:
        file: the file that they are from.
    """

    file: Path
    images: NDArray[np.uint8]
    labels_N: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ArrayImage:
    """An image of an array as a SourceImage; its class's number is text."""

    arrays: LabelledArrays
    row: int
    is_numbered: bool = True

    @property
    def name(self) -> str:
        """Name for the image, which has none of its own."""
        return f"{self.arrays.file.stem}-{self.row}"

    @property
    def class_name(self) -> str:
        """The class's number."""
        return str(int(self.arrays.labels_N[self.row]))

    @property
    def num_bytes(self) -> int:
        """Size of the pixels, of which a PNG of a photograph saves little."""
        return int(self.arrays.images[self.row].nbytes)

    def encoded(self) -> EncodedImage:
        """The image as PNG."""
        pixels = self.arrays.images[self.row]
        stream = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(stream, "PNG")
        return EncodedImage(self.arrays.file, self.row, stream.getvalue())


def labelled_arrays(
    file: Path,
    images: NDArray[np.generic],
    labels: NDArray[Any],
    *,
    keys: tuple[str, str],
    num_classes: int | None = None,
) -> LabelledArrays:
    """Images and labels after their checks.

    Args:
        keys: names of the images and of the labels in the file, for messages.
        num_classes: number of named classes; None if they have no names.
    Raises:
        DataError: a type, a shape or a label is not allowed; names file, key and value.
    """
    check_images(file, keys[0], images.dtype, images.shape)
    check_labels(file, keys[1], labels.dtype, labels.shape, len(images))
    flat = labels.reshape(-1)
    last = (num_classes or MAX_CLASSES) - 1
    is_bad_N = (flat < 0) | (flat > last)
    if is_bad_N.any():
        row = int(is_bad_N.argmax())
        raise DataError(
            f"{keys[1]!r} of {file} has the label {flat[row]} in row {row} (counted from 0); allowed are 0 "
            f"to {last:,}. Correct or remove the row."
        )
    return LabelledArrays(file, images.astype(np.uint8, copy=False), flat.astype(np.int64))


def check_images(file: Path, key: str, dtype: np.dtype[np.generic], shape: Sequence[int]) -> None:
    """Raises DataError unless these are a type and a shape of images."""
    is_image = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
    if dtype != np.uint8 or not is_image or not shape[0] or min(shape[1:3]) < MIN_SIDE:
        raise DataError(
            f"{key!r} of {file} has the type {dtype} and the shape {tuple(shape)}. "
            f"Allowed are images of type uint8 in the shape (N, H, W), (N, H, W, 1), (N, H, W, 3) or "
            f"(N, H, W, 4), at least {MIN_SIDE} pixels per side. Convert the array with NumPy."
        )


def check_labels(
    file: Path, key: str, dtype: np.dtype[np.generic], shape: Sequence[int], num_images: int
) -> None:
    """Raises DataError unless these are a type and a shape of one label for each of so many images."""
    if dtype.kind not in "iu" or tuple(shape) not in ((num_images,), (num_images, 1)):
        raise DataError(
            f"{key!r} of {file} has the type {dtype} and the shape {tuple(shape)}. "
            f"Allowed is one integer for each of the {num_images:,} images, in the shape ({num_images},) or "
            f"({num_images}, 1). Save the class indexes alone; several labels for an image can't be used."
        )


def splits_of_arrays(
    kind: str,
    parts: Mapping[Split, Sequence[LabelledArrays]],
    *,
    places: Mapping[Split, str],
    class_names: Sequence[str] | None,
    left_out: tuple[LeftOut, ...] = (),
) -> SourceSplits:
    """The images of all arrays, by split.

    Args:
        kind: what the source is, for the user.
        places: what the parts are called, which tells whether the validation part is a test set.
    """
    splits = {
        split: [ArrayImage(part, row) for part in of_split for row in range(len(part.labels_N))]
        for split, of_split in parts.items()
    }
    counts = {split: _counted(of_split, class_names) for split, of_split in parts.items()}
    found = found_by_labels(kind, counts, places=places, class_names=class_names, left_out=left_out)
    return SourceSplits.numbered(splits, found)


def _counted(parts: Sequence[LabelledArrays], class_names: Sequence[str] | None) -> LabelCounts:
    labels, counts = np.unique(np.concatenate([part.labels_N for part in parts]), return_counts=True)
    return LabelCounts(
        int(counts.sum()),
        dict(zip(labels.tolist(), counts.tolist(), strict=True)),
        None if class_names is None else tuple(class_names),
    )
