"""The rows of a drawing: which block stands how high, and which states pass by it on their way up.

A state that is used more than one row above its own gets one lane per row in between; all its users share it.
So lines bend only between rows, where there are no boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from raynas.genotype import COMMUTATIVE_COMBINERS, NUM_INPUTS, Block, CellGenotype

MAX_BLOCKS_PER_ROW = 5
OP_WIDTH = 74
OP_GAP = 14
GROUP_PADDING = 8
GROUP_WIDTH = 2 * OP_WIDTH + OP_GAP + 2 * GROUP_PADDING
INPUT_WIDTH = 60
LANE_HALF_WIDTH = 2
PORT_OFFSET = (OP_WIDTH + OP_GAP) // 2
"""From the middle of a block to the middle of either operation."""


@dataclass(slots=True, eq=False)
class Slot:
    """A place in a row: an input, a block, or the lane of a state that passes by."""

    state: int
    half_width: int
    block: Block | None = None
    is_lane: bool = False
    sources: list[tuple[Slot, int]] = field(default_factory=list)
    """In the row below, with the port that it feeds: how far right of the middle, if `side` is 1."""
    users: list[tuple[Slot, int]] = field(default_factory=list)
    """In the row above, with their port."""
    x: float = 0.0
    """The middle."""
    side: int = 1
    """1: op_a stands on the left; -1: on the right, which an 'add' may do to save a crossing."""

    @property
    def is_flexible(self) -> bool:
        return self.block is not None and self.block.combiner in COMMUTATIVE_COMBINERS

    def port_x(self, port: int) -> float:
        return self.x + port * self.side


def cell_rows(cell: CellGenotype) -> list[list[Slot]]:
    """The rows from the inputs upwards, linked, not yet placed; h_(i-1) left of h_i, as in figure 4."""
    heights = _heights(cell)
    last_use = _last_use(cell, heights)
    rows = [[Slot(1, INPUT_WIDTH // 2), Slot(0, INPUT_WIDTH // 2)]]
    below = {slot.state: slot for slot in rows[0]}
    for height in range(1, max(heights) + 1):
        row = list(_row(cell, height, heights, last_use))
        for slot in row:
            _link(slot, below)
        below = {slot.state: slot for slot in row}
        rows.append(row)
    return rows


def _heights(cell: CellGenotype) -> list[int]:
    """The row of each state: the first one above its inputs that has room."""
    heights = [0] * NUM_INPUTS
    for block in cell.blocks:
        height = 1 + max(heights[block.input_a], heights[block.input_b])
        while heights.count(height) == MAX_BLOCKS_PER_ROW:
            height += 1
        heights.append(height)
    return heights


def _last_use(cell: CellGenotype, heights: list[int]) -> list[int]:
    last_use = list(heights)
    for index, block in enumerate(cell.blocks):
        for state in (block.input_a, block.input_b):
            last_use[state] = max(last_use[state], heights[NUM_INPUTS + index])
    for state in cell.concat:
        last_use[state] = max(heights) + 1
    return last_use


def _row(cell: CellGenotype, height: int, heights: list[int], last_use: list[int]) -> Iterator[Slot]:
    for state, own_height in enumerate(heights):
        if own_height == height:
            yield Slot(state, GROUP_WIDTH // 2, cell.blocks[state - NUM_INPUTS])
        elif own_height < height < last_use[state]:
            yield Slot(state, LANE_HALF_WIDTH, is_lane=True)


def _link(slot: Slot, below: dict[int, Slot]) -> None:
    inputs = [(slot.state, 0)]
    if slot.block is not None:
        inputs = [(slot.block.input_a, -PORT_OFFSET), (slot.block.input_b, PORT_OFFSET)]
    for state, port in inputs:
        slot.sources.append((below[state], port))
        below[state].users.append((slot, port))
