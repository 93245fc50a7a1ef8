"""The rows of a drawing: the height of each block, and the states that pass by it on their way up.

A state that is used more than one row above its own gets one lane in each row in between, which all its users
share. Lines therefore bend only between rows, where there are no boxes. The outputs of a chained cell are the
top row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from raynas.cells.block import Block
from raynas.cells.canonical import COMMUTATIVE_COMBINERS
from raynas.cells.genotype import CellGenotype

MAX_BLOCKS_PER_ROW = 5
OP_WIDTH = 74
OP_GAP = 14
GROUP_PADDING = 8
GROUP_WIDTH = 2 * OP_WIDTH + OP_GAP + 2 * GROUP_PADDING
INPUT_WIDTH = 60
LANE_HALF_WIDTH = 2
PORT_OFFSET = (OP_WIDTH + OP_GAP) // 2
"""Distance from the middle of a block to the middle of either operation."""


# Compared by identity: slots point at each other, so that comparing them field by field would never end.
@dataclass(slots=True, eq=False)
class Slot:
    """A place in a row: an input, a block, an output, or the lane of a state that passes by."""

    state: int
    half_width: int
    block: Block | None = None
    is_lane: bool = False
    output: int | None = None
    """Number of the chained cell's output that it is, if it is one."""
    sources: list[tuple[Slot, int]] = field(default_factory=list)
    """Slots of the row below, each with its port: how far right of the middle it arrives if `side` is 1."""
    users: list[tuple[Slot, int]] = field(default_factory=list)
    """Slots of the row above that this one feeds, each with its port."""
    x: float = 0.0
    """Middle of the slot."""
    side: int = 1
    """1 if op_a is on the left, -1 if it is on the right, which a commutative combiner allows."""

    @property
    def is_flexible(self) -> bool:
        """Whether its two operations may change places."""
        return (
            self.block is not None and len(self.sources) == 2 and self.block.combiner in COMMUTATIVE_COMBINERS
        )

    def port_x(self, port: int) -> float:
        """The x at which a line arrives at a port, on whichever side its operation is."""
        return self.x + port * self.side


def live_halves(block: Block) -> list[tuple[int, str]]:
    """State and operation of each half of a block, except those whose operation is 'none'."""
    halves = ((block.input_a, block.op_a), (block.input_b, block.op_b))
    return [(state, op) for state, op in halves if op != "none"]


def cell_rows(cell: CellGenotype) -> list[list[Slot]]:
    """The rows from the inputs upwards, linked but not yet placed; h_(i-1) is left of h_i, as in figure 4."""
    heights = _heights(cell)
    last_use = _last_use(cell, heights)
    inputs = range(cell.num_inputs) if cell.is_chained else reversed(range(cell.num_inputs))
    rows = [[Slot(state, INPUT_WIDTH // 2) for state in inputs]]
    rows += [list(_row(cell, height, heights, last_use)) for height in range(1, max(heights) + 1)]
    if cell.is_chained:
        rows.append([Slot(state, INPUT_WIDTH // 2, output=index) for index, state in enumerate(cell.concat)])
    for row, row_below in zip(rows[1:], rows, strict=False):
        below = {slot.state: slot for slot in row_below}
        for slot in row:
            _link(slot, below)
    return rows


def _heights(cell: CellGenotype) -> list[int]:
    """The row of each state: the first one above its inputs that has room."""
    heights = [0] * cell.num_inputs
    for block in cell.blocks:
        # A block of two 'none' takes no state: it stands in the first row.
        height = 1 + max((heights[state] for state, _ in live_halves(block)), default=0)
        while heights.count(height) == MAX_BLOCKS_PER_ROW:
            height += 1
        heights.append(height)
    return heights


def _last_use(cell: CellGenotype, heights: list[int]) -> list[int]:
    # A state that nothing uses ends in its own row, and gets no lane.
    last_use = list(heights)
    for index, block in enumerate(cell.blocks):
        for state, _ in live_halves(block):
            last_use[state] = max(last_use[state], heights[cell.num_inputs + index])
    for state in cell.concat:
        # One row above the highest block: that is where the bar of the concatenation is, or the row of
        # outputs.
        last_use[state] = max(heights) + 1
    return last_use


def _row(cell: CellGenotype, height: int, heights: list[int], last_use: list[int]) -> Iterator[Slot]:
    for state, own_height in enumerate(heights):
        if own_height == height:
            yield Slot(state, GROUP_WIDTH // 2, cell.blocks[state - cell.num_inputs])
        elif own_height < height < last_use[state]:
            yield Slot(state, LANE_HALF_WIDTH, is_lane=True)


def _link(slot: Slot, below: dict[int, Slot]) -> None:
    # A lane or an output continues its own state; a block takes those of its halves. _row gave each of them a
    # slot in the row below.
    states = [slot.state] if slot.block is None else [state for state, _ in live_halves(slot.block)]
    ports = (-PORT_OFFSET, PORT_OFFSET) if len(states) == 2 else (0,)
    for state, port in zip(states, ports, strict=False):
        slot.sources.append((below[state], port))
        below[state].users.append((slot, port))
