"""Arrows as Bezier curves: upwards through waypoints, or around a bend from operation to combiner."""

from __future__ import annotations

from collections.abc import Sequence

from raynas.cells.draw.shapes import Arrow, Box, Point

HEAD_LENGTH = 7
HEAD_HALF_WIDTH = 3


def upward_arrow(waypoints: Sequence[Point], state: int | None = None, kind: str = "line") -> Arrow:
    """Through all waypoints, vertical at each of them; the tip is at the last one."""
    tip_x, tip_y = waypoints[-1]
    base_y = tip_y + HEAD_LENGTH
    points = [waypoints[0]]
    for x, y in (*waypoints[1:-1], (tip_x, base_y)):
        start_x, start_y = points[-1]
        middle_y = (start_y + y) // 2
        points += [(start_x, middle_y), (x, middle_y), (x, y)]
    head = (waypoints[-1], (tip_x - HEAD_HALF_WIDTH, base_y), (tip_x + HEAD_HALF_WIDTH, base_y))
    return Arrow(tuple(points), head, state, kind)


def elbow_arrow(operation: Box, combiner: Box) -> Arrow:
    """From the top of the operation around one bend into the nearer side of the combiner."""
    is_left = operation.center < combiner.center
    tip_x = combiner.x if is_left else combiner.right
    base_x = tip_x - HEAD_LENGTH if is_left else tip_x + HEAD_LENGTH
    y = combiner.y + combiner.height // 2
    start = (operation.center, operation.y)
    head = ((tip_x, y), (base_x, y - HEAD_HALF_WIDTH), (base_x, y + HEAD_HALF_WIDTH))
    return Arrow((start, (start[0], y), (start[0], y), (base_x, y)), head)
