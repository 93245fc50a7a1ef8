"""Training images joined with validation images that were put aside by the user, such as those in val/."""

# Shapes: N images: those for validation first, then those for training.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raynas.data.decode import DecodedImages, EncodedImage, decode_images
from raynas.data.found import Found
from raynas.data.source import FileSource
from raynas.errors import DataError

_SHOWN = 10


@dataclass(frozen=True, slots=True, eq=False)
class JoinedSource:
    """An ImageSource of which the first `num_held_out` rows are for validation alone.

    All rows are decoded together, so that both parts get the same size and channels.

    Args:
        place: where the validation images lie, for the user.
    """

    train: FileSource
    held_out: FileSource
    labels_N: NDArray[np.int64]
    found: Found
    place: str

    @property
    def name(self) -> str:
        """See ImageSource."""
        return self.train.name

    @property
    def num_classes(self) -> int:
        """See ImageSource."""
        return self.train.num_classes

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """See ImageSource."""
        return self.train.class_names

    @property
    def num_held_out(self) -> int:
        """Number of validation images."""
        return len(self.held_out.labels_N)

    def decode(
        self, rows_N: NDArray[np.int64], *, image_size: int | None, max_image_size: int
    ) -> DecodedImages:
        """Decodes the images of these rows; see ImageSource."""
        is_held_out_N = rows_N < self.num_held_out
        held_out = iter(self.held_out.encoded_rows(rows_N[is_held_out_N]))
        train = iter(self.train.encoded_rows(rows_N[~is_held_out_N] - self.num_held_out))
        images: list[EncodedImage] = [next(held_out if mine else train) for mine in is_held_out_N]
        return decode_images(images, image_size=image_size, max_image_size=max_image_size)


def joined(train: FileSource, held_out: FileSource, place: str) -> JoinedSource:
    """The two as one source, with the validation labels numbered as the training labels are.

    Args:
        place: where the validation images lie, for messages.
    Raises:
        DataError: validation has a class that training doesn't have.
    """
    labels_N = _numbered_alike(train, held_out, place)
    names = train.class_names or tuple(map(str, range(train.num_classes)))
    counts_K = np.bincount(labels_N, minlength=train.num_classes)
    found = train.found.with_validation(
        {name: int(count) for name, count in zip(names, counts_K, strict=True) if count}, place
    )
    return JoinedSource(train, held_out, np.concatenate([labels_N, train.labels_N]), found, place)


def _numbered_alike(train: FileSource, held_out: FileSource, place: str) -> NDArray[np.int64]:
    if train.class_names is None or held_out.class_names is None:
        largest = int(held_out.labels_N.max())
        if largest >= train.num_classes:
            raise DataError(
                f"The validation images of {train.name}, in {place}, have labels up to {largest}, but the "
                f"training labels go up to {train.num_classes - 1}. Both must number the same classes."
            )
        return held_out.labels_N
    numbers = {name: number for number, name in enumerate(train.class_names)}
    unknown = [name for name in held_out.class_names if name not in numbers]
    if unknown:
        known = ", ".join(train.class_names[:_SHOWN]) + (" ..." if len(numbers) > _SHOWN else "")
        raise DataError(
            f"The validation images of {train.name}, in {place}, have the class {unknown[0]!r}, which the "
            f"training images don't have ({len(unknown)} such classes). Training has: {known}. "
            "Correct the names, or move those images out of the data set."
        )
    to_number_K = np.array([numbers[name] for name in held_out.class_names], dtype=np.int64)
    return to_number_K[held_out.labels_N]
