"""What every kind of streamed data set offers: numbered images in pieces, read piece by piece."""

# Shapes: N images, by their number in the data set, from 0.

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage

PIECE_IMAGES = 512
"""At most so many images are read, decoded and held as one: 77 MB of pixels at 224 x 224."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPiece:
    """Images as they lie in the file, and their classes."""

    images: list[EncodedImage]
    labels_N: NDArray[np.int64]


class Piece(Protocol):
    """Some images that are read together; small and without an open file: it is sent to other processes."""

    def read(self) -> EncodedPiece:
        """The images in the order in which they were asked for.

        Raises:
            DataError: a file is corrupt or gone, a row has no image or a wrong label; names it.
        """


class ImageSet(Protocol):
    """One split of a data set."""

    @property
    def num_images(self) -> int:
        """Images are numbered from 0 to this."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One per class, where the data set has names."""

    @property
    def num_classes(self) -> int:
        """Classes without an image included, as far as names tell them."""

    def pieces(self, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
        """Every image's number once, in pieces of at most PIECE_IMAGES that are cheap to read together.

        Args:
            rng: of the order; None: the order of the files.
        """

    def piece(self, numbers_N: NDArray[np.int64]) -> Piece:
        """These images, in this order; all must be of one of the pieces."""
