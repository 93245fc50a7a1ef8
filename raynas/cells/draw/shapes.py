"""What a drawing consists of, as plain values: boxes, arrows and texts.

Units are those of the SVG's viewBox; x grows to the right, y downwards, and all coordinates are integers.
"""

from __future__ import annotations

from typing import NamedTuple

Point = tuple[int, int]


class Box(NamedTuple):
    """A rectangle by its upper left corner; `kind` picks its colour (palette.py), `name` says what it is."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    name: str

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def center(self) -> int:
        return self.x + self.width // 2


class Arrow(NamedTuple):
    """A line from box to box that carries a state; `kind` picks its colour.

    `points` are the start and then three points per cubic Bezier curve; the last one is the base of the head.
    `head` is its triangle, the tip first. `state` is the state carried, or None between an operation and
    its combiner, and on the way out of a bar.
    """

    points: tuple[Point, ...]
    head: tuple[Point, Point, Point]
    state: int | None = None
    kind: str = "line"

    @property
    def start(self) -> Point:
        return self.points[0]

    @property
    def tip(self) -> Point:
        return self.head[0]


class Text(NamedTuple):
    """One line of text; (x, y) is the middle of its baseline, or the left end if it `is_left`."""

    x: int
    y: int
    text: str
    size: int
    subscript: str = ""
    is_bold: bool = False
    is_faint: bool = False
    is_left: bool = False


class CellDrawing(NamedTuple):
    """One cell with its upper left corner at (0, 0); `groups` are the backgrounds of the blocks, in order."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    groups: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    texts: tuple[Text, ...]
