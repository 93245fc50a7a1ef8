"""What every data set must have to be classified: two classes, and a training image for each."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence

from raynas.errors import DataError

_SHOWN = 5
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_logger = logging.getLogger(__name__)


def are_digits(class_names: Sequence[str] | None) -> bool:
    """Whether the classes are the ten digits, as in MNIST and SVHN: '7', 'seven', '7 - seven' or 'digit_7'.

    A digit that is mirrored is none. Without names, nothing is known.
    """
    found = set()
    for name in class_names or ():
        words = [word for word in re.split(r"[\W_]+", name.lower()) if word and word != "digit"]
        numbers = {_DIGITS.index(word) if word in _DIGITS else word for word in words}
        found.add(str(numbers.pop()) if len({str(number) for number in numbers}) == 1 else name)
    return found == set("0123456789")


def check_classes(
    name: str, *, num_train_images: int, num_classes: int, class_names: tuple[str, ...] | None
) -> None:
    """Raises DataError if there are fewer than two classes, or more classes than training images.

    Args:
        name: what messages call the data set.
    """
    if num_classes < 2:
        names = f" ({', '.join(class_names)})" if class_names else ""
        raise DataError(
            f"{name} has {num_classes} class{names}; classification needs at least 2. Use a data set with "
            "more classes."
        )
    # Also catches absurd labels of data sets without class names, before anything is allocated per class.
    if num_train_images < num_classes:
        raise DataError(
            f"{name} has {num_train_images:,} training images and {num_classes:,} classes, if its labels are "
            "right. Use at least one training image per class, or correct the labels."
        )


def warn_of_empty_classes(name: str, labels: Collection[int], num_classes: int) -> None:
    """Warns of the classes that no label names, where classes have no names but are counted from the labels.

    Args:
        name: what the warning calls the data set.
        labels: the labels that occur.
    """
    empty = sorted(set(range(num_classes)) - set(labels))
    if not empty:
        return
    listing = ", ".join(map(str, empty[:_SHOWN])) + (" ..." if len(empty) > _SHOWN else "")
    _logger.warning(
        "classes without an image  data=%s classes=%d without_image=%d: %s; the network gets an output for "
        "each. Number labels from 0 without holes, or ignore this if the images are a subset.",
        name,
        num_classes,
        len(empty),
        listing,
    )
