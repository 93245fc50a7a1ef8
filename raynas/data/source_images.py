"""The images that a conversion reads, whatever they lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from raynas.data.decode import EncodedImage
from raynas.data.found import Found
from raynas.data.layout import Split, part_of_path
from raynas.data.parquet_columns import LOOKED_AT


class SourceImage(Protocol):
    """One image of a source, which is read when it is written."""

    @property
    def name(self) -> str:
        """Name for the image, without folders."""

    @property
    def class_name(self) -> str:
        """The class's name, or its number as text."""

    @property
    def num_bytes(self) -> int:
        """Approximate size of the encoded image."""

    @property
    def is_numbered(self) -> bool:
        """Whether the source numbers its classes and doesn't name them."""

    def encoded(self) -> EncodedImage:
        """The encoded image; DataError if it can't be read."""


@dataclass(frozen=True, slots=True)
class SourceSplits:
    """The images that a conversion reads, by split, and what is said of them.

    Args:
        class_names: names of classes that are numbered, by their numbers; None if there are none.
    """

    splits: Mapping[Split, Sequence[SourceImage]]
    found: Found
    class_names: Mapping[str, str] | None = None

    @classmethod
    def numbered(cls, splits: Mapping[Split, Sequence[SourceImage]], found: Found) -> SourceSplits:
        """Images whose classes are numbered, with the sizes of some training images looked at."""
        train, names = splits["train"], found.class_names
        return cls(
            splits,
            found.with_sizes(lambda number: train[number].encoded(), LOOKED_AT),
            None if names is None else {str(number): name for number, name in enumerate(names)},
        )

    @property
    def has_test_set(self) -> bool:
        """Whether what is held out is a test set, which a search must not look at."""
        return part_of_path(PurePosixPath(self.found.places.get("validation", ""))) == "test"
