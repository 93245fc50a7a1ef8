"""Renders a genotype as PNG with matplotlib's objects, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text as TextArtist

from raynas.cells.draw.palette import BACKGROUND, FAINT, INK, PAINTS, line_color
from raynas.cells.draw.picture import DrawnCell, genotype_picture
from raynas.cells.draw.shapes import Arrow, Label, Rectangle
from raynas.cells.genotype import Genotype

PIXELS_PER_UNIT = 2
POINTS_PER_INCH = 72
PNG_FONT_FAMILY = "DejaVu Sans"
"""The font that comes with matplotlib, so that the picture is the same on every machine."""


def draw_png(genotype: Genotype, *, title: str = "") -> bytes:
    """Both cells as the bytes of a PNG file, two pixels per unit of the SVG's viewBox."""
    picture = genotype_picture(genotype, title=title)
    # One unit of the drawing is one point, so that font sizes and line widths, which matplotlib takes in
    # points, are those of the SVG.
    figure = Figure(
        figsize=(picture.width / POINTS_PER_INCH, picture.height / POINTS_PER_INCH),
        dpi=PIXELS_PER_UNIT * POINTS_PER_INCH,
        facecolor=BACKGROUND,
    )
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, picture.width)
    # Turned over, because y grows downwards in the drawing.
    axes.set_ylim(picture.height, 0)
    for text in picture.texts:
        axes.add_artist(_text(text, 0, 0))
    for cell in picture.cells:
        for artist in _cell(cell):
            axes.add_artist(artist)
    file = BytesIO()
    FigureCanvasAgg(figure)
    # matplotlib would write its version into the file; without that the same picture has the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _cell(cell: DrawnCell) -> Sequence[Artist]:
    x, y, drawing = cell.x, cell.y, cell.drawing
    # The last argument is the zorder, by which matplotlib draws: backgrounds 1, lines 2, boxes 3, texts 4.
    artists: list[Artist] = [_box(box, x, y, 1) for box in drawing.groups]
    for arrow in drawing.arrows:
        artists += _arrow(arrow, x, y)
    artists += [_box(box, x, y, 3) for box in drawing.boxes]
    artists += [_text(text, x, y) for text in drawing.texts]
    return artists


def _box(box: Rectangle, left: int, top: int, layer: int) -> Artist:
    fill, stroke, radius = PAINTS[box.kind]
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch(
        (left + box.x, top + box.y),
        box.width,
        box.height,
        boxstyle=style,
        facecolor=fill,
        edgecolor=stroke,
        linewidth=1,
        zorder=layer,
    )


def _arrow(arrow: Arrow, left: int, top: int) -> tuple[Artist, Artist]:
    color = line_color(arrow.kind)
    points = [(left + x, top + y) for x, y in arrow.points]
    path = Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1))
    head = [(left + x, top + y) for x, y in arrow.head]
    return (
        PathPatch(path, facecolor="none", edgecolor=color, linewidth=1.3, capstyle="butt", zorder=2),
        Polygon(head, closed=True, facecolor=color, linewidth=0, zorder=2),
    )


def _text(text: Label, left: int, top: int) -> Artist:
    font = FontProperties(family=PNG_FONT_FAMILY, size=text.size, weight="bold" if text.is_bold else "normal")
    # The braces keep the operator in 'i-1' from being spaced like a formula.
    subscript = text.subscript.replace("-", "{-}").replace("+", "{+}")
    shown = rf"{text.text}$_{{\mathrm{{{subscript}}}}}$" if subscript else _drawable(text.text, font)
    return TextArtist(
        left + text.x,
        top + text.y,
        shown,
        color=FAINT if text.is_faint else INK,
        fontproperties=font,
        ha="left" if text.is_left else "center",
        va="baseline",
        parse_math=bool(text.subscript),
        zorder=4,
    )


def _drawable(text: str, font: FontProperties) -> str:
    """The text with '?' for characters that the font lacks, about which matplotlib would warn each time."""
    known = get_font(findfont(font))
    return "".join(char if known.get_char_index(ord(char)) else "?" for char in text)
