"""The cells of a genotype side by side under their headings, as svg.py and png.py render them.

If the Normal and the Reduction cell are the same, it is drawn once.
"""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import category

from raynas.cells.draw.layout import cell_layout
from raynas.cells.draw.shapes import CellDrawing, Label
from raynas.cells.genotype import Genotype

MARGIN = 24
CELL_GAP = 56
TITLE_SIZE = 17
TITLE_HEIGHT = 34
HEADING_SIZE = 14
HEADING_HEIGHT = 30
HEADING_ADVANCE = 0.66
"""Largest width of a heading's character, as a fraction of the font size."""
MAX_TITLE_LENGTH = 100
"""Characters of a title; the rest of a longer one is left out."""
BOLD_ADVANCE, WIDE_BOLD_ADVANCE = 0.88, 1.2
"""Largest width of a bold character, as a fraction of the font size; non-ASCII characters count as wide."""
WIDE_CHARACTERS = frozenset("mwMW@%")


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """A cell whose upper left corner is at (x, y) of the picture."""

    x: int
    y: int
    drawing: CellDrawing


@dataclass(frozen=True, slots=True)
class GenotypePicture:
    """A whole picture; `texts` are the headings and the title, if there is one."""

    width: int
    height: int
    title: str
    texts: tuple[Label, ...]
    cells: tuple[DrawnCell, ...]


def genotype_picture(genotype: Genotype, *, title: str = "") -> GenotypePicture:
    """The picture of both cells; it is at least as wide as its title."""
    title = one_line(title)
    drawings = _drawings(genotype)
    widths = [max(_heading_width(heading), drawing.width) for heading, drawing in drawings.items()]
    content_width = sum(widths) + CELL_GAP * (len(widths) - 1)
    width = 2 * MARGIN + max(content_width, _title_width(title))
    heading_y = MARGIN + (TITLE_HEIGHT if title else 0) + HEADING_SIZE
    top = heading_y - HEADING_SIZE + HEADING_HEIGHT
    texts = [Label(width // 2, MARGIN + TITLE_SIZE - 3, title, TITLE_SIZE, is_bold=True)] if title else []
    cells = []
    left = (width - content_width) // 2
    for (heading, drawing), cell_width in zip(drawings.items(), widths, strict=True):
        center = left + cell_width // 2
        texts.append(Label(center, heading_y, heading, HEADING_SIZE))
        cells.append(DrawnCell(center - drawing.width // 2, top, drawing))
        left += cell_width + CELL_GAP
    height = top + max(drawing.height for drawing in drawings.values()) + MARGIN
    return GenotypePicture(width, height, title, tuple(texts), tuple(cells))


def _drawings(genotype: Genotype) -> dict[str, CellDrawing]:
    """The drawings, by their heading."""
    normal = cell_layout(genotype.normal, is_reduction=False)
    # Drawn without strides, which it has in only one of its two roles.
    if genotype.normal == genotype.reduction:
        return {"Normal and reduction cell": normal}
    return {"Normal cell": normal, "Reduction cell": cell_layout(genotype.reduction, is_reduction=True)}


def one_line(title: str) -> str:
    """The title without characters that can't be shown: line breaks, control characters, lone surrogates."""
    # Tabs and line breaks are control characters (Cc) too, but become spaces in the next line instead of
    # vanishing.
    printable = "".join(char for char in title if char.isspace() or category(char) not in ("Cc", "Cn", "Cs"))
    words = " ".join(printable.split())
    return words if len(words) <= MAX_TITLE_LENGTH else words[: MAX_TITLE_LENGTH - 3] + "..."


def _heading_width(heading: str) -> int:
    # An upper bound, because the SVG is shown in whichever of its fonts the viewer has.
    return round(len(heading) * HEADING_ADVANCE * HEADING_SIZE)


def _title_width(title: str) -> int:
    num_wide = sum(char in WIDE_CHARACTERS or not char.isascii() for char in title)
    advance = num_wide * WIDE_BOLD_ADVANCE + (len(title) - num_wide) * BOLD_ADVANCE
    return round(advance * TITLE_SIZE)
