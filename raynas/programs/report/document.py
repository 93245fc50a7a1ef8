"""A report as plain values: sections of paragraphs, code, tables and figures. Pure Python.

html.py and markdown.py write it. All texts are plain text: anything in them, such as an error message, is
shown as it is and never read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"(< )?[+-]?\d[\d,]*(\.\d+)?( ?%| [a-zA-Z]+)?( \+- \d[\d.,]*| to -?\d[\d.,]*)?")
"""A number, optionally with a unit or a deviation, or an interval."""
_NO_VALUE = ("", "-")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines that are shown unchanged, in a fixed-width font."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under column names. Columns of numbers are aligned to the right.

    Attributes:
        columns: names; all empty means that the table has no header.
        rows: a cell for each column.
        caption: text below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows)

    @property
    def has_header(self) -> bool:
        """Whether at least one column has a name."""
        return any(self.columns)

    @property
    def numeric_columns(self) -> frozenset[int]:
        """Indices of the columns whose cells are numbers, apart from cells without a value."""
        return frozenset(index for index in range(len(self.columns)) if self._is_numeric(index))

    def _is_numeric(self, column: int) -> bool:
        cells = [row[column] for row in self.rows if row[column] not in _NO_VALUE]
        return bool(cells) and all(_NUMBER.fullmatch(cell) for cell in cells)


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG picture.

    Attributes:
        name: name of its file without the suffix; unique in a report.
        svg: SVG document whose root has a width and a height.
        caption: what the picture shows, and how not to misread it.
        is_wide: whether it takes the whole width of the page, instead of standing beside others.
    """

    name: str
    svg: str
    caption: str
    is_wide: bool = False

    @property
    def title(self) -> str:
        """Text for readers who can't see the picture."""
        return self.name.replace("-", " ").capitalize()


Element = Paragraph | Code | Table | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the blocks below it. A folded section opens when its heading is clicked."""

    title: str
    blocks: tuple[Element, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report.

    Attributes:
        title: heading of the report.
        lead: summary for a reader who stops there.
        sections: contents of the report.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]

    @property
    def figures(self) -> list[Figure]:
        return [block for part in self.sections for block in part.blocks if isinstance(block, Figure)]


def facts(rows: Sequence[tuple[str, str]], *, names: tuple[str, str] = ("", "")) -> Table:
    """A table with a name and a value in each row, by default without a header."""
    return Table(names, tuple(rows))
