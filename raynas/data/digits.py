"""The 1,797 grey 8x8 images of handwritten digits that come with scikit-learn: data without a download."""

# Shapes: N images, H x W pixels, C = 1 channel.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from raynas.data.decode import DecodedImages
from raynas.data.found import Found
from raynas.data.pixels import central_square

_MAX_VALUE = 16


@dataclass(frozen=True, slots=True, eq=False)
class DigitsSource:
    """All digits, decoded (115 kB)."""

    images_NHWC: NDArray[np.uint8]
    labels_N: NDArray[np.int64]
    name: str = "digits"
    num_classes: int = 10
    class_names: tuple[str, ...] | None = tuple("0123456789")

    @property
    def found(self) -> Found:
        """What `raynas doctor` says of the digits."""
        counts = dict(zip(self.class_names or (), np.bincount(self.labels_N).tolist(), strict=True))
        return Found(
            kind="scikit-learn's digits",
            num_classes=self.num_classes,
            class_names=self.class_names,
            num_images={"train": len(self.labels_N)},
            counts={"train": counts},
        )

    def decode(
        self, rows_N: NDArray[np.int64], *, image_size: int | None, max_image_size: int
    ) -> DecodedImages:
        """The images of these rows, resized if `image_size` differs from 8; see ImageSource."""
        images_NHWC = self.images_NHWC[rows_N]
        if image_size in (None, images_NHWC.shape[1]):
            return DecodedImages(images_NHWC, np.arange(len(rows_N)))
        pictures = [Image.fromarray(image_HWC[..., 0]) for image_HWC in images_NHWC]
        resized = [np.asarray(central_square(picture, image_size, "L")) for picture in pictures]
        return DecodedImages(np.stack(resized)[..., None], np.arange(len(rows_N)))


def open_digits() -> DigitsSource:
    """Loads the digits; their values 0..16 are scaled to 0..255."""
    digits = load_digits()
    images_NHW = np.rint(digits.images * (255 / _MAX_VALUE)).astype(np.uint8)
    return DigitsSource(images_NHW[..., None], digits.target.astype(np.int64))
