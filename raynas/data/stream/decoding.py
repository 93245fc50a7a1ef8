"""The work of one decoding process: read a unit of images, decode and transform them."""

# Shapes: N images of a unit, H x W pixels, C channels.

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raynas.data.stream.images import Piece
from raynas.data.stream.transforms import Transform


class Unit(NamedTuple):
    """A piece of work: images and what their random numbers are made of."""

    piece: Piece
    numbers_N: NDArray[np.int64]
    epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class DecodedUnit:
    """Pixels and classes of a unit, in its order."""

    images_NHWC: NDArray[np.uint8]
    labels_N: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """Reads, decodes and transforms units, in whatever process; the same unit gives the same pixels.

    Args:
        seed: of augmentation, together with the epoch and the image's number.
    """

    transform: Transform
    seed: int = 0

    def __call__(self, unit: Unit) -> DecodedUnit:
        """Pixels and classes of the unit.

        Raises:
            DataError: a file or an image is corrupt; names it.
        """
        size = self.transform.image_size
        images_NHWC = np.empty((len(unit.numbers_N), size, size, 3), dtype=np.uint8)
        return DecodedUnit(images_NHWC, self.decode_into(images_NHWC, unit))

    def decode_into(self, images_NHWC: NDArray[np.uint8], unit: Unit) -> NDArray[np.int64]:
        """Writes the pixels into an array that is there, and returns the labels."""
        piece = unit.piece.read()
        for place, (number, encoded) in enumerate(zip(unit.numbers_N, piece.images, strict=True)):
            rng = np.random.default_rng((self.seed, unit.epoch, int(number)))
            images_NHWC[place] = self.transform(encoded, rng)
        return piece.labels_N
