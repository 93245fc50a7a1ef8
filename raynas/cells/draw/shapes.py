"""The parts of a drawing as plain values: boxes, arrows and labels.

Units are those of the SVG's viewBox; x grows to the right, y downwards, and all coordinates are integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Position = tuple[int, int]
HEAD_LENGTH = 7
HEAD_HALF_WIDTH = 3


class Rectangle(NamedTuple):
    """A box by its upper left corner; `kind` selects its colour (palette.py), `name` says what it is."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    name: str

    @property
    def right(self) -> int:
        """The x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The y of the lower edge."""
        return self.y + self.height

    @property
    def center(self) -> int:
        """The x of the middle."""
        return self.x + self.width // 2


class Arrow(NamedTuple):
    """A line from box to box that carries a state; `kind` selects its colour.

    `points` are the start and then three points per cubic Bezier curve; the last one is the base of the head.
    `head` is the arrow head's triangle, the tip first. `state` is None between an operation and its combiner
    and on the way out of a bar.
    """

    points: tuple[Position, ...]
    head: tuple[Position, Position, Position]
    state: int | None = None
    kind: str = "line"

    @property
    def start(self) -> Position:
        """Where the line begins."""
        return self.points[0]

    @property
    def tip(self) -> Position:
        """Where the head ends."""
        return self.head[0]


class Label(NamedTuple):
    """One line of text; (x, y) is the middle of its baseline, or its left end if `is_left`."""

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
    boxes: tuple[Rectangle, ...]
    groups: tuple[Rectangle, ...]
    arrows: tuple[Arrow, ...]
    texts: tuple[Label, ...]


def upward_arrow(waypoints: Sequence[Position], state: int | None = None, kind: str = "line") -> Arrow:
    """An arrow through all waypoints, vertical at each of them, with its tip at the last one."""
    tip_x, tip_y = waypoints[-1]
    # Lines go up and y grows downwards, so the base of the head has the larger y.
    base_y = tip_y + HEAD_LENGTH
    points = [waypoints[0]]
    for x, y in (*waypoints[1:-1], (tip_x, base_y)):
        start_x, start_y = points[-1]
        middle_y = (start_y + y) // 2
        # Control points straight above and below the two ends, so that the curve is vertical at both.
        points += [(start_x, middle_y), (x, middle_y), (x, y)]
    head = (waypoints[-1], (tip_x - HEAD_HALF_WIDTH, base_y), (tip_x + HEAD_HALF_WIDTH, base_y))
    return Arrow(tuple(points), head, state, kind)


def elbow_arrow(operation: Rectangle, combiner: Rectangle) -> Arrow:
    """An arrow from the top of the operation around one bend into the nearer side of the combiner."""
    is_left = operation.center < combiner.center
    tip_x = combiner.x if is_left else combiner.right
    base_x = tip_x - HEAD_LENGTH if is_left else tip_x + HEAD_LENGTH
    y = combiner.y + combiner.height // 2
    start = (operation.center, operation.y)
    head = ((tip_x, y), (base_x, y - HEAD_HALF_WIDTH), (base_x, y + HEAD_HALF_WIDTH))
    # Both control points lie in the corner, which rounds the bend.
    return Arrow((start, (start[0], y), (start[0], y), (base_x, y)), head)
