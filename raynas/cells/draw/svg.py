"""Renders a genotype as SVG by building strings, which is fast: a search draws thousands of children.

There is no style sheet and no id, so that many of these pictures can stand inline in one HTML page.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from raynas.cells.draw.layout import cell_layout
from raynas.cells.draw.palette import BACKGROUND, FAINT, INK, PAINTS, line_color
from raynas.cells.draw.picture import DrawnCell, genotype_picture
from raynas.cells.draw.shapes import Arrow, Label, Rectangle
from raynas.cells.genotype import CellGenotype, Genotype

SVG_FONT_FAMILY = "Helvetica, Arial, sans-serif"
SUBSCRIPT_SCALE = 0.75
CELL_MARGIN = 12
"""Space around a single cell."""


def genotype_svg(genotype: Genotype, *, title: str = "") -> str:
    """Both cells side by side as a standalone SVG document, which can also stand inline in an HTML page."""
    picture = genotype_picture(genotype, title=title)
    width, height = picture.width, picture.height
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family={quoteattr(SVG_FONT_FAMILY)} role="img">',
            f"<title>{escape(picture.title or 'Normal and reduction cell')}</title>",
            f'<rect width="{width}" height="{height}" fill="{BACKGROUND}"/>',
            *map(_text, picture.texts),
            *(line for cell in picture.cells for line in _cell(cell)),
            "</svg>\n",
        )
    )


def cell_svg(
    cell: CellGenotype,
    *,
    is_reduction: bool,
    marked: frozenset[int] = frozenset(),
    min_size: tuple[int, int] = (0, 0),
) -> str:
    """One cell without a heading, as a standalone SVG document.

    Args:
        marked: indices of the blocks that stand out.
        min_size: width and height that the picture has at least, so that several have one scale.
    """
    drawing = cell_layout(cell, is_reduction=is_reduction)
    groups = [
        group._replace(kind="marked") if index in marked else group
        for index, group in enumerate(drawing.groups)
    ]
    width = max(min_size[0], drawing.width + 2 * CELL_MARGIN)
    height = max(min_size[1], drawing.height + 2 * CELL_MARGIN)
    drawn = DrawnCell(
        (width - drawing.width) // 2,
        height - drawing.height - CELL_MARGIN,
        drawing._replace(groups=tuple(groups)),
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family={quoteattr(SVG_FONT_FAMILY)} role="img">',
            f"<title>{'Reduction' if is_reduction else 'Normal'} cell</title>",
            f'<rect width="{width}" height="{height}" fill="{BACKGROUND}"/>',
            *_cell(drawn),
            "</svg>\n",
        )
    )


def _cell(cell: DrawnCell) -> Iterator[str]:
    """Frames first, then lines, then boxes and texts, so that nothing hides a box."""
    drawing = cell.drawing
    yield f'<g transform="translate({cell.x} {cell.y})">'
    yield from map(_box, drawing.groups)
    # One group for all lines, so that none of them has to repeat the width.
    yield '<g stroke-width="1.3">'
    yield from map(_arrow, drawing.arrows)
    yield "</g>"
    yield from map(_box, drawing.boxes)
    yield from map(_text, drawing.texts)
    yield "</g>"


def _box(box: Rectangle) -> str:
    fill, stroke, radius = PAINTS[box.kind]
    rect = (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="{radius}" '
        f'fill="{fill}" stroke="{stroke}"'
    )
    return (
        f"{rect}/>" if box.kind in ("group", "marked") else f"{rect}><title>{escape(box.name)}</title></rect>"
    )


def _arrow(arrow: Arrow) -> str:
    color = line_color(arrow.kind)
    (start_x, start_y), *rest = arrow.points
    curves = " ".join([f"{x},{y}" for x, y in rest])
    head = " ".join([f"{x},{y}" for x, y in arrow.head])
    return (
        f'<path d="M{start_x},{start_y} C{curves}" fill="none" stroke="{color}"/>'
        f'<path d="M{head}z" fill="{color}"/>'
    )


def _text(text: Label) -> str:
    anchor = "start" if text.is_left else "middle"
    weight = ' font-weight="bold"' if text.is_bold else ""
    color = FAINT if text.is_faint else INK
    return (
        f'<text x="{text.x}" y="{text.y}" font-size="{text.size}" text-anchor="{anchor}"{weight} '
        f'fill="{color}">{escape(text.text)}{_subscript(text)}</text>'
    )


def _subscript(text: Label) -> str:
    if not text.subscript:
        return ""
    return f'<tspan dy="3" font-size="{text.size * SUBSCRIPT_SCALE:g}">{escape(text.subscript)}</tspan>'
