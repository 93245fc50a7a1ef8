"""Colours of the drawings, shared by SVG and PNG.

Operations are light fills under dark text and differ in lightness too, so that they survive a grey printer.
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
    "sep_conv": Paint("#fde7a9", "#c99a1c", 3),
    "conv": Paint("#f9c9b6", "#c8613a", 3),
    "pool": Paint("#c9dff5", "#4a83b8", 3),
    "identity": Paint("#e9e9e9", "#8a8a8a", 3),
    "combiner": Paint("#cfeac9", "#55994b", 11),
    "concat": Paint("#cfeac9", "#55994b", 3),
    "input_0": Paint("#ffffff", "#00738a", 3),
    "input_1": Paint("#ffffff", "#a03c8c", 3),
    "output": Paint("#ffffff", "#4d4d4d", 3),
}
INPUT_LINES = ("#00738a", "#a03c8c")
OTHER_LINES = "#4d4d4d"


def line_color(state: int | None) -> str:
    """The two cell inputs have a colour each, as their lines run furthest."""
    return INPUT_LINES[state] if state is not None and state < len(INPUT_LINES) else OTHER_LINES
