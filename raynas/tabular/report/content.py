"""Text, tables and pictures in order, without a format: Markdown and HTML are made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; columns named in `words` are text, the others numbers."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    words: frozenset[str] = frozenset()

    def is_number(self, place: int) -> bool:
        return self.columns[place] not in self.words


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG, what it shows, and for those who can't see it."""

    name: str
    svg: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Code:
    """To be shown as it is."""

    text: str


Block = str | Grid | Picture | Code


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
