"""Renders one cell with Pillow, many times faster than png.py: a search draws hundreds beside its training.

The picture is drawn large and reduced, since Pillow draws lines without smoothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from raynas.cells.draw.layout import cell_layout
from raynas.cells.draw.palette import BACKGROUND, FAINT, INK, PAINTS, line_color
from raynas.cells.draw.shapes import Arrow, CellDrawing, Label, Position
from raynas.cells.genotype import CellGenotype

SCALE = 2
"""Pixels of the large picture per unit of the drawing; the finished one has one pixel per unit."""
MARGIN = 12
CURVE_STEPS = 10
SUBSCRIPT_SCALE = 0.75


def cell_image(cell: CellGenotype, *, is_reduction: bool) -> Image.Image:
    """The cell in RGB, one pixel per unit of the SVG's viewBox, with a margin around."""
    drawing = cell_layout(cell, is_reduction=is_reduction)
    size = (SCALE * (drawing.width + 2 * MARGIN), SCALE * (drawing.height + 2 * MARGIN))
    image = Image.new("RGB", size, BACKGROUND)
    _draw(ImageDraw.Draw(image), drawing)
    return image.reduce(SCALE)


def _draw(canvas: ImageDraw.ImageDraw, drawing: CellDrawing) -> None:
    for box in drawing.groups:
        _box(canvas, box.x, box.y, box.right, box.bottom, box.kind)
    for arrow in drawing.arrows:
        color = line_color(arrow.kind)
        canvas.line([_place(x, y) for x, y in _curve(arrow)], fill=color, width=SCALE + 1)
        canvas.polygon([_place(x, y) for x, y in arrow.head], fill=color)
    for box in drawing.boxes:
        _box(canvas, box.x, box.y, box.right, box.bottom, box.kind)
    for text in drawing.texts:
        _text(canvas, text)


def _place(x: float, y: float) -> tuple[float, float]:
    return SCALE * (x + MARGIN), SCALE * (y + MARGIN)


def _box(canvas: ImageDraw.ImageDraw, left: int, top: int, right: int, bottom: int, kind: str) -> None:
    fill, stroke, radius = PAINTS[kind]
    corners = [_place(left, top), _place(right, bottom)]
    canvas.rounded_rectangle(corners, radius=SCALE * radius, fill=fill, outline=stroke, width=SCALE)


def _curve(arrow: Arrow) -> Iterator[tuple[float, float]]:
    """Points on the arrow's Bezier curves."""
    yield arrow.start
    for first in range(0, len(arrow.points) - 1, 3):
        ends = arrow.points[first : first + 4]
        for step in range(1, CURVE_STEPS + 1):
            yield _on_curve(ends, step / CURVE_STEPS)


def _on_curve(ends: tuple[Position, ...], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    pairs = list(zip(weights, ends, strict=True))
    return sum(weight * x for weight, (x, _) in pairs), sum(weight * y for weight, (_, y) in pairs)


def _text(canvas: ImageDraw.ImageDraw, text: Label) -> None:
    font = _font(SCALE * text.size, text.is_bold)
    color = FAINT if text.is_faint else INK
    small = _font(round(SCALE * text.size * SUBSCRIPT_SCALE), text.is_bold)
    width = font.getlength(text.text)
    x, y = _place(text.x, text.y)
    if not text.is_left:
        x -= (width + (small.getlength(text.subscript) if text.subscript else 0)) / 2
    canvas.text((x, y), text.text, fill=color, font=font, anchor="ls")
    if text.subscript:
        canvas.text((x + width, y + 3 * SCALE), text.subscript, fill=color, font=small, anchor="ls")


@functools.cache
def _font(size: int, is_bold: bool) -> ImageFont.FreeTypeFont:
    # The font that comes with matplotlib, so that the picture is the same on every machine.
    name = "DejaVuSans-Bold.ttf" if is_bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), size)
