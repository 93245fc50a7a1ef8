"""What was found in a data set, as one value with one text, before anything is trained on it."""

# Shapes: N images.

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from raynas.data.decode import EncodedImage, check_size, opened_image
from raynas.data.layout import SPLITS, LeftOut, Split
from raynas.errors import DataError

SHOWN_CLASSES = 5
"""Classes that the text lists one by one."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Width and height in pixels of the smallest and the largest of the images that were looked at."""

    smallest: tuple[int, int]
    largest: tuple[int, int]
    num_images: int

    def __str__(self) -> str:
        small, large = (f"{width}x{height}" for width, height in (self.smallest, self.largest))
        text = small if small == large else f"{small} to {large}"
        return f"{text} pixels ({self.num_images} looked at)"


@dataclass(frozen=True, slots=True)
class Found:
    """What a data set holds, equal for whoever reads it.

    Args:
        kind: 'class folders' or 'Parquet files', with the columns of the latter.
        num_classes: classes of the training images, with those that have no image.
        class_names: None if they have only numbers.
        num_images: images of each split.
        counts: images of each class in each split, by the class's name or number; without empty classes.
        places: names of the folders that the splits lie in.
        left_out: what is not used.
    """

    kind: str
    num_classes: int
    class_names: tuple[str, ...] | None
    num_images: Mapping[Split, int]
    counts: Mapping[Split, Mapping[str, int]]
    places: Mapping[Split, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    sizes: Sizes | None = None

    def with_sizes(self, encoded: Callable[[int], EncodedImage], num_looked_at: int) -> Found:
        """This with the sizes of some training images added; `encoded(number)` reads one image."""
        return replace(self, sizes=_sizes(encoded, self.num_images["train"], num_looked_at))

    def with_validation(self, counts: Mapping[str, int], place: str) -> Found:
        """This with a validation split of so many images of each class, which lies in `place`."""
        return replace(
            self,
            num_images={**self.num_images, "validation": sum(counts.values())},
            counts={**self.counts, "validation": dict(counts)},
            places={**self.places, "validation": place},
        )

    def without(self, left_out: LeftOut) -> Found:
        """This with something more that is left out."""
        return replace(self, left_out=(*self.left_out, left_out))

    def lines(self) -> list[str]:
        """What was found, in a few lines for the user."""
        return [
            f"found: {self.kind}; {self.num_classes:,} classes",
            *(self._split_line(split) for split in SPLITS if split in self.num_images),
            *([f"images: {self.sizes}"] if self.sizes else []),
            *self._empty_lines(),
            *(f"left out: {some}" for some in self.left_out),
        ]

    def _split_line(self, split: Split) -> str:
        total, place = self.num_images[split], self.places.get(split)
        text = f"for {_PURPOSE[split]}{f', in {place}' if place else ''}: {total:,} images"
        counts = self.counts.get(split, {})
        if counts:
            text += f"; {_spread(counts)}"
        if unlabelled := total - sum(counts.values()):
            text += f"; {unlabelled:,} without a label that can be used"
        if split == "validation" and (unknown := self._unknown(counts)):
            text += f"; in classes that training doesn't have: {_listing(iter(unknown), len(unknown))}"
        return text

    def _unknown(self, counts: Mapping[str, int]) -> list[str]:
        return sorted(set(counts).difference(self.class_names)) if self.class_names else []

    def _empty_lines(self) -> Iterator[str]:
        for split in SPLITS:
            counts = self.counts.get(split)
            if not counts or (split == "validation" and self._unknown(counts)):
                continue
            names = self.class_names or map(str, range(self.num_classes))
            empty = (name for name in names if name not in counts)
            if (count := self.num_classes - len(counts)) > 0:
                yield f"classes without an image for {_PURPOSE[split]}: {_listing(empty, count)}"


_PURPOSE: Mapping[Split, str] = {"train": "training", "validation": "validation"}


def _spread(counts: Mapping[str, int]) -> str:
    if len(counts) <= SHOWN_CLASSES:
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[least] == counts[most]:
        return f"{counts[least]:,} of each class"
    return f"{counts[least]:,} ({least}) to {counts[most]:,} ({most}) of a class"


def _listing(names: Iterator[str], count: int) -> str:
    shown = list(itertools.islice(names, SHOWN_CLASSES))
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _sizes(encoded: Callable[[int], EncodedImage], num_images: int, num_looked_at: int) -> Sizes | None:
    """Sizes of images evenly spread over all; those that can't be read are left to whoever decodes them.

    Raises:
        DataError: an image is too small or too large.
    """
    numbers_N = np.unique(np.linspace(0, num_images - 1, min(num_looked_at, num_images)).astype(np.int64))
    found = [size for number in numbers_N if (size := _size(encoded, int(number)))]
    if not found:
        return None
    ordered = sorted(found, key=lambda size: (size[0] * size[1], size))
    return Sizes(ordered[0], ordered[-1], len(found))


def _size(encoded: Callable[[int], EncodedImage], number: int) -> tuple[int, int] | None:
    try:
        image = encoded(number)
        with opened_image(image) as opened:
            size = opened.size
    except DataError:
        return None
    check_size(size, image)
    return size
