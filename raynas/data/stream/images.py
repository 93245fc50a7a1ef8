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
    """The images of one split of a data set, which have numbers."""

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


@dataclass(frozen=True, slots=True, eq=False)
class FewerImages:
    """An ImageSet of some images of another one, which keep their numbers.

    Args:
        is_kept_N: for every image of the other.
    """

    images: ImageSet
    is_kept_N: NDArray[np.bool_]

    @staticmethod
    def drawn(images: ImageSet, count: int, *, seed: int) -> FewerImages:
        """`count` images at random."""
        is_kept_N = np.zeros(images.num_images, dtype=bool)
        is_kept_N[np.random.default_rng(seed).permutation(images.num_images)[:count]] = True
        return FewerImages(images, is_kept_N)

    @property
    def num_images(self) -> int:
        """See ImageSet."""
        return int(self.is_kept_N.sum())

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """See ImageSet."""
        return self.images.class_names

    @property
    def num_classes(self) -> int:
        """See ImageSet."""
        return self.images.num_classes

    def pieces(self, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
        """See ImageSet."""
        kept = (numbers_N[self.is_kept_N[numbers_N]] for numbers_N in self.images.pieces(rng))
        return [numbers_N for numbers_N in kept if len(numbers_N)]

    def piece(self, numbers_N: NDArray[np.int64]) -> Piece:
        """See ImageSet."""
        return self.images.piece(numbers_N)
