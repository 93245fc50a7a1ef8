"""The interface of all data sources that are decoded in memory."""

# Shapes: N images (all rows in labels_N, the chosen ones in decode), H x W pixels, C channels.

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from raynas.data.decode import DecodedImages, EncodedImage
from raynas.data.found import Found


class ImageSource(Protocol):
    """A data set whose labels are known and checked and whose images can be decoded by row."""

    @property
    def name(self) -> str:
        """Name of the data set in logs and reports."""

    @property
    def labels_N(self) -> NDArray[np.int64]:
        """Class indexes of all rows, in [0, num_classes)."""

    @property
    def num_classes(self) -> int:
        """Number of classes, including those without an image."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One name per class; None if the data set has no names."""

    @property
    def found(self) -> Found:
        """What the data set holds, for the user."""

    def decode(
        self, rows_N: NDArray[np.int64], *, image_size: int | None, max_image_size: int
    ) -> DecodedImages:
        """Decodes the images of these rows.

        Args:
            image_size: pixels per side. Defaults to a size found from the images of these rows.
            max_image_size: the most that this default may be.
        Raises:
            DataError: no image can be decoded, or a file can't be read; the message names it.
        """


class FileSource(ImageSource, Protocol):
    """An ImageSource whose images are encoded, in files of their own or in rows of files."""

    def encoded_rows(self, rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """The encoded images of these rows, in their order; DataError if a file can't be read."""
