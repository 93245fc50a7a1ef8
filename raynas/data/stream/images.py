"""The interface of streamed data sets: numbered images in pieces, which are read one at a time."""

# Shapes: N images, by their number in the data set, from 0.

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage

PIECE_IMAGES = 512
"""Largest number of images that are read and decoded together: 77 MB of pixels at 224 x 224."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPiece:
    """Images before decoding, and their class indexes."""

    images: list[EncodedImage]
    labels_N: NDArray[np.int64]


class Piece(Protocol):
    """Images that are read together, described by a small value that can be sent to another process."""

    def read(self) -> EncodedPiece:
        """Reads the images, in the order in which they were asked for.

        Raises:
            DataError: a file is corrupt or missing, or a row has no image or a wrong label.
        """


class ImageSet(Protocol):
    """The images of one split of a data set, numbered from 0."""

    @property
    def num_images(self) -> int:
        """Number of images."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One name per class; None if the data set has no names."""

    @property
    def num_classes(self) -> int:
        """Number of classes. Classes without an image count if the data set has class names."""

    def pieces(self, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
        """All image numbers, in pieces of at most PIECE_IMAGES images that are cheap to read together.

        Args:
            rng: puts the pieces into random order. None keeps the order of the files.
        """

    def piece(self, numbers_N: NDArray[np.int64]) -> Piece:
        """Describes these images, in this order; all must belong to one piece."""
