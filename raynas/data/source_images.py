"""The images that a conversion reads, whatever they lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from raynas.data.decode import EncodedImage
from raynas.data.found import Found
from raynas.data.layout import Split, part_of_path


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

    @property
    def has_test_set(self) -> bool:
        """Whether what is held out is a test set, which a search must not look at."""
        return part_of_path(PurePosixPath(self.found.places.get("validation", ""))) == "test"
