"""Both cells of a genotype side by side under their headings: the picture that svg.py and png.py write."""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import category

from raynas.draw.layout import cell_layout
from raynas.draw.shapes import CellDrawing, Text
from raynas.genotype import Genotype

MARGIN = 24
CELL_GAP = 56
TITLE_SIZE = 17
TITLE_HEIGHT = 34
HEADING_SIZE = 14
HEADING_HEIGHT = 30
MIN_CELL_WIDTH = 140
MAX_TITLE_LENGTH = 100
"""Characters; the rest of a longer title is left out."""
BOLD_ADVANCE, WIDE_BOLD_ADVANCE = 0.88, 1.2
"""Width of a bold character over the font size, at most; all that is not ASCII counts as wide."""
WIDE_CHARACTERS = frozenset("mwMW@%")


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell whose upper left corner is at (x, y) of the picture."""

    x: int
    y: int
    drawing: CellDrawing


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything of a picture; `texts` are the title, if there is one, and the headings."""

    width: int
    height: int
    title: str
    texts: tuple[Text, ...]
    cells: tuple[PlacedCell, PlacedCell]


def genotype_picture(genotype: Genotype, *, title: str = "") -> Picture:
    """Lay out both cells; the picture is at least as wide as its title."""
    title = one_line(title)
    normal = cell_layout(genotype.normal, is_reduction=False)
    reduction = cell_layout(genotype.reduction, is_reduction=True)
    widths = [max(MIN_CELL_WIDTH, cell.width) for cell in (normal, reduction)]
    content_width = sum(widths) + CELL_GAP
    width = 2 * MARGIN + max(content_width, _title_width(title))
    centers = [(width - content_width + widths[0]) // 2, (width + content_width - widths[1]) // 2]
    heading_y = MARGIN + (TITLE_HEIGHT if title else 0) + HEADING_SIZE
    top = heading_y - HEADING_SIZE + HEADING_HEIGHT
    texts = [Text(width // 2, MARGIN + TITLE_SIZE - 3, title, TITLE_SIZE, is_bold=True)] if title else []
    for center, heading in zip(centers, ("Normal cell", "Reduction cell"), strict=True):
        texts.append(Text(center, heading_y, heading, HEADING_SIZE))
    cells = (
        PlacedCell(centers[0] - normal.width // 2, top, normal),
        PlacedCell(centers[1] - reduction.width // 2, top, reduction),
    )
    return Picture(width, top + max(normal.height, reduction.height) + MARGIN, title, tuple(texts), cells)


def one_line(title: str) -> str:
    """The title without what no picture can show: line breaks, control characters, lone surrogates."""
    printable = "".join(char for char in title if char.isspace() or category(char) not in ("Cc", "Cn", "Cs"))
    words = " ".join(printable.split())
    return words if len(words) <= MAX_TITLE_LENGTH else words[: MAX_TITLE_LENGTH - 3] + "..."


def _title_width(title: str) -> int:
    num_wide = sum(char in WIDE_CHARACTERS or not char.isascii() for char in title)
    advance = num_wide * WIDE_BOLD_ADVANCE + (len(title) - num_wide) * BOLD_ADVANCE
    return round(advance * TITLE_SIZE)
