"""A report as plain values: sections of paragraphs, code, tables and pictures. Pure Python; html.py and
markdown.py write them down.

All texts are plain: whatever stands in them, such as the reason of a failure, is shown and never markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"(< )?[+-]?\d[\d,]*(\.\d+)?( ?%| [a-zA-Z]+)?( \+- \d[\d.,]*| to -?\d[\d.,]*)?")
"""A number, with its unit or its deviation; or an interval."""
_NONE = ("", "-")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Shown as it is, in lines of its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under column names; columns of numbers are set to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows)

    @property
    def has_header(self) -> bool:
        """Whether any column has a name."""
        return any(self.columns)

    @property
    def numeric_columns(self) -> frozenset[int]:
        """Indices of the columns that hold numbers, with nothing in some of their cells at most."""
        return frozenset(index for index in range(len(self.columns)) if self._is_numeric(index))

    def _is_numeric(self, column: int) -> bool:
        cells = [row[column] for row in self.rows if row[column] not in _NONE]
        return bool(cells) and all(_NUMBER.fullmatch(cell) for cell in cells)


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG document.

    Attributes:
        name: of its file, without a suffix; unique in a report.
        svg: with width and height in its root.
        caption: what it shows, and what to beware of.
        is_wide: takes the whole width of a page, where others stand side by side.
    """

    name: str
    svg: str
    caption: str
    is_wide: bool = False

    @property
    def title(self) -> str:
        """In words, for those who can't see it."""
        return self.name.replace("-", " ").capitalize()


Block = Text | Code | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; a folded one is read by those who look for it."""

    title: str
    blocks: tuple[Block, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A report."""

    title: str
    lead: str
    """What one should know who reads no further."""
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> list[Picture]:
        return [block for part in self.sections for block in part.blocks if isinstance(block, Picture)]


def facts(rows: Sequence[tuple[str, str]], *, names: tuple[str, str] = ("", "")) -> Table:
    """A table of a name and a value per row."""
    return Table(names, tuple(rows))
