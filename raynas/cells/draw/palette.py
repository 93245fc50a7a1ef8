"""Colours of the drawings, shared by SVG and PNG.

Operations have light fills under dark text. They differ in lightness too, so that a black-and-white print
stays readable.
"""

from __future__ import annotations

from typing import NamedTuple

INK = "#1a1a1a"
FAINT = "#8a8a8a"
BACKGROUND = "#ffffff"


class Paint(NamedTuple):
    """How a kind of box looks; `radius` rounds its corners."""

    fill: str
    stroke: str
    radius: int


PAINTS = {
    "group": Paint("#f6f6f6", "#dedede", 6),
    "marked": Paint("#fff1de", "#d9822b", 6),
    "sep_conv": Paint("#fde7a9", "#c99a1c", 3),
    "conv": Paint("#f9c9b6", "#c8613a", 3),
    "pool": Paint("#c9dff5", "#4a83b8", 3),
    "identity": Paint("#e9e9e9", "#8a8a8a", 3),
    "combiner": Paint("#cfeac9", "#55994b", 11),
    "concat": Paint("#cfeac9", "#55994b", 3),
    "input_0": Paint("#ffffff", "#00738a", 3),
    "input_1": Paint("#ffffff", "#a03c8c", 3),
    "input_2": Paint("#ffffff", "#94701c", 3),
    "input_3": Paint("#ffffff", "#4b57b8", 3),
    "output": Paint("#ffffff", "#4d4d4d", 3),
}
OTHER_LINES = "#4d4d4d"


def line_color(kind: str) -> str:
    """The colour of a line. Each of the cell's inputs has its own, because their lines are the longest."""
    return PAINTS[kind].stroke if kind in PAINTS else OTHER_LINES
