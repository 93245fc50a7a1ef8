"""What a decoding process does: it reads a unit of images, decodes and transforms them."""

# Shapes: N images of a unit, H x W pixels, C channels.

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raynas.data.stream.images import Piece
from raynas.data.stream.transforms import Transform


class Unit(NamedTuple):
    """Images that are decoded together, with the numbers and the epoch that seed their augmentation."""

    piece: Piece
    numbers_N: NDArray[np.int64]
    epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class DecodedUnit:
    """Pixels and class indexes of a unit, in its order."""

    images_NHWC: NDArray[np.uint8]
    labels_N: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """Reads, decodes and transforms units. A unit gives the same pixels in whatever process it is decoded.

    Args:
        seed: seed of augmentation, together with the epoch and the image's number.
    """

    transform: Transform
    seed: int = 0

    def __call__(self, unit: Unit) -> DecodedUnit:
        """Decodes a unit.

        Raises:
            DataError: a file or an image is corrupt; the message names it.
        """
        size = self.transform.image_size
        images_NHWC = np.empty((len(unit.numbers_N), size, size, 3), dtype=np.uint8)
        return DecodedUnit(images_NHWC, self.decode_into(images_NHWC, unit))

    def decode_into(self, images_NHWC: NDArray[np.uint8], unit: Unit) -> NDArray[np.int64]:
        """Writes the pixels into `images_NHWC` and returns labels_N."""
        piece = unit.piece.read()
        for place, (number, encoded) in enumerate(zip(unit.numbers_N, piece.images, strict=True)):
            # A generator per image, so that augmentation doesn't depend on how images are grouped into units.
            rng = np.random.default_rng((self.seed, unit.epoch, int(number)))
            images_NHWC[place] = self.transform(encoded, rng)
        return piece.labels_N
