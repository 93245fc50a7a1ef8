"""Lays out one cell as boxes, arrows and labels, independently of the file format.

The inputs are at the bottom. Above them come the blocks in rows, each with its operations below its combiner,
then the bar that concatenates and the output, or the outputs of a chained cell. A 'none' is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from raynas.cells.block import Block
from raynas.cells.draw.placing import Rows, place
from raynas.cells.draw.rows import (
    GROUP_PADDING,
    GROUP_WIDTH,
    INPUT_WIDTH,
    OP_WIDTH,
    Slot,
    cell_rows,
    live_halves,
)
from raynas.cells.draw.shapes import Arrow, CellDrawing, Label, Position, Rectangle, elbow_arrow, upward_arrow
from raynas.cells.genotype import CellGenotype

# All sizes are in units of the SVG's viewBox (see shapes.py).
FONT_SIZE = 12
SMALL_SIZE = 10
LINE_HEIGHT = 14
STATE_HEIGHT = 26
CONCAT_HEIGHT = 24
COMBINER_WIDTH = 54
NORM_WIDTH = 128
"""Width of a combiner with a norm, which leaves no room beside it for the block's number."""
NUMBER_HEIGHT = 10
COMBINER_HEIGHT = 22
COMBINER_GAP = 12
OP_HEIGHT = 38
STRIDED_OP_HEIGHT = 50
ZERO_SIZE = 26
OUTPUT_GAP = 26
CONCAT_GAP = 34
MIN_ROW_GAP = 40
MAX_ROW_GAP = 120
SPAN_PER_GAP = 7
"""Units that the widest line between two rows goes sideways for each unit by which the gap grows."""
MIN_MARGIN = 14
"""Distance from a lane to the edge of the drawing."""
INPUT_SUBSCRIPTS = ("i", "i-1")
OUTPUT_SUBSCRIPT = "i+1"
SHORT_NAMES = {"avg_pool_2x2_conv_1x1": ["avg 2x2,", "conv 1x1"]}


@dataclass(slots=True)
class _Canvas:
    """A drawing while it is being laid out."""

    cell: CellGenotype
    op_height: int
    combiner_y: int
    """Distance of the combiner from the top of its block."""
    tops: list[int] = field(default_factory=list)
    exits: dict[int, int] = field(default_factory=dict)
    """For each state, the y from which its lines go up."""
    boxes: list[Rectangle] = field(default_factory=list)
    groups: list[Rectangle] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    texts: list[Label] = field(default_factory=list)

    def add_box(self, box: Rectangle, lines: Sequence[str], subscript: str = "") -> Rectangle:
        """Adds a box with centred lines of text, the third one smaller."""
        # The lines are centred as a whole. Each baseline lies three units above the lower edge of its line,
        # which leaves room for descenders.
        baseline = box.y + (box.height - LINE_HEIGHT * len(lines)) // 2 + LINE_HEIGHT - 3
        for index, line in enumerate(lines):
            size = FONT_SIZE if index < 2 else SMALL_SIZE
            self.texts.append(Label(box.center, baseline + LINE_HEIGHT * index, line, size, subscript))
        self.boxes.append(box)
        return box

    @property
    def group_height(self) -> int:
        return self.combiner_y + COMBINER_HEIGHT + COMBINER_GAP + self.op_height + GROUP_PADDING


def cell_layout(cell: CellGenotype, *, is_reduction: bool) -> CellDrawing:
    """The drawing of a cell; a reduction cell shows the stride of operations on its inputs."""
    # In this order: the rows' distances depend on how far lines go sideways, which is known once slots have
    # an x, and boxes need both.
    rows = cell_rows(cell)
    place(rows)
    width = _shift_to_zero(rows)
    has_norm = any(combiner_text(block.combiner) != block.combiner for block in cell.blocks)
    canvas = _Canvas(
        cell,
        op_height=STRIDED_OP_HEIGHT if is_reduction else OP_HEIGHT,
        combiner_y=GROUP_PADDING + (NUMBER_HEIGHT if has_norm else 0),
    )
    canvas.tops = _row_tops(rows, canvas.group_height)
    _draw_inputs(canvas, rows[0])
    for height, row in enumerate(rows[1:], start=1):
        for slot in row:
            if slot.block is not None:
                _draw_block(canvas, slot, slot.block, height, is_reduction)
    if cell.is_chained:
        _draw_outputs(canvas, rows[-1])
    else:
        _draw_concat(canvas, rows[-1], width)
    # They were drawn row by row, but CellDrawing promises the order of the blocks.
    canvas.groups.sort(key=lambda group: int(group.name))
    return CellDrawing(
        width,
        canvas.tops[0] + STATE_HEIGHT,
        tuple(canvas.boxes),
        tuple(canvas.groups),
        tuple(canvas.arrows),
        tuple(canvas.texts),
    )


def op_kind(op: str) -> str:
    """The kind that decides an operation's colour: 'sep_conv', 'conv', 'pool' or 'identity'."""
    # The order counts: 'conv' is also a part of 'sep_conv_3x3', and of 'avg_pool_2x2_conv_1x1', which is
    # drawn as a pool.
    for kind in ("sep_conv", "pool", "conv"):
        if kind in op:
            return kind
    return "conv" if op.startswith("bottleneck") else "identity"


def op_lines(op: str, *, stride: int) -> list[str]:
    """'max_pool_3x3' as 'max pool' over '3x3', over the stride if it is not 1."""
    words = op.split("_")
    if op in SHORT_NAMES:
        return SHORT_NAMES[op] + ([f"stride {stride}"] if stride != 1 else [])
    # There may be several kernels, as in 'conv_1x7_7x1', and they all begin with a digit.
    name = " ".join(word for word in words if not word[0].isdigit())
    kernel = " ".join(word for word in words if word[0].isdigit())
    lines = [name, kernel] if kernel else [name]
    return lines if stride == 1 else [*lines, f"stride {stride}"]


def combiner_text(combiner: str) -> str:
    """'add_layer_norm' as 'add, layer norm'."""
    first, *rest = combiner.split("_")
    return f"{first}, {' '.join(rest)}" if rest else first


def _shift_to_zero(rows: Rows) -> int:
    """Moves the drawing to x = 0 and every slot to a whole number; returns the width."""
    slots = [slot for row in rows for slot in row]
    left = min(slot.x - max(slot.half_width, MIN_MARGIN) for slot in slots)
    for slot in slots:
        slot.x = round(slot.x - left)
    return int(max(slot.x + max(slot.half_width, MIN_MARGIN) for slot in slots)) + 1


def _row_tops(rows: Rows, group_height: int) -> list[int]:
    """The y of the upper edge of each row, the inputs' first."""
    # From the top down, because y grows downwards. The result is turned round at the end, as rows count from
    # the inputs.
    has_outputs = rows[-1][0].output is not None
    tops = [0 if has_outputs else STATE_HEIGHT + OUTPUT_GAP + CONCAT_HEIGHT + CONCAT_GAP]
    height = STATE_HEIGHT if has_outputs else group_height
    for row in reversed(rows[1:]):
        spans = [abs(source.x - slot.port_x(port)) for slot in row for source, port in slot.sources]
        # A line that goes far sideways through a low gap would be nearly flat, and hard to follow among
        # others.
        gap = min(MAX_ROW_GAP, MIN_ROW_GAP + int(max(spans, default=0)) // SPAN_PER_GAP)
        tops.append(tops[-1] + height + gap)
        height = group_height
    return tops[::-1]


def _draw_inputs(canvas: _Canvas, row: list[Slot]) -> None:
    for slot in row:
        left, kind = int(slot.x) - INPUT_WIDTH // 2, f"input_{slot.state}"
        box = Rectangle(left, canvas.tops[0], INPUT_WIDTH, STATE_HEIGHT, kind, f"state {slot.state}")
        # The four inputs of NASNet-B all come from the one cell before, so they get numbers instead of times.
        has_time = canvas.cell.num_inputs <= len(INPUT_SUBSCRIPTS)
        canvas.add_box(box, ["h"], INPUT_SUBSCRIPTS[slot.state] if has_time else str(slot.state))
        canvas.exits[slot.state] = box.y


def _draw_block(canvas: _Canvas, slot: Slot, block: Block, height: int, is_reduction: bool) -> None:
    """Draws the block's background with its number, and on it the operations and the combiner."""
    top, index = canvas.tops[height], slot.state - canvas.cell.num_inputs
    frame = Rectangle(
        int(slot.x) - GROUP_WIDTH // 2, top, GROUP_WIDTH, canvas.group_height, "group", str(index)
    )
    canvas.groups.append(frame)
    canvas.texts.append(
        Label(frame.x + 6, top + 12, f"block {index}", SMALL_SIZE, is_faint=True, is_left=True)
    )
    halves = live_halves(block)
    # A sum with nothing is the other half, and needs no combiner. The other combiners still do something to
    # one half: a concatenation adds channels of zeros, and a norm follows.
    is_sum_of_one = len(halves) == 1 and block.combiner == "add"
    op_top = frame.bottom - GROUP_PADDING - canvas.op_height
    combiner: Rectangle | None = None
    if not halves:
        canvas.exits[slot.state] = _draw_zero(canvas, frame).y
    elif is_sum_of_one:
        op_top = canvas.exits[slot.state] = frame.y + (frame.height - canvas.op_height) // 2
    else:
        combiner = _draw_combiner(canvas, frame, block.combiner)
        canvas.exits[slot.state] = combiner.y
    # rows.py links a block to one source per live half, in the same order.
    for (source, port), (state, op) in zip(slot.sources, halves, strict=True):
        # Only operations on the cell's inputs halve the size (Zoph et al. 2018, section 3).
        stride = 2 if is_reduction and state < canvas.cell.num_inputs else 1
        left = int(slot.port_x(port)) - OP_WIDTH // 2
        box = canvas.add_box(
            Rectangle(left, op_top, OP_WIDTH, canvas.op_height, op_kind(op), op), op_lines(op, stride=stride)
        )
        _draw_line(canvas, source, height - 1, (box.center, box.bottom))
        if combiner is not None:
            canvas.arrows.append(_combining_arrow(box, combiner))


def _draw_combiner(canvas: _Canvas, frame: Rectangle, combiner: str) -> Rectangle:
    text = combiner_text(combiner)
    width = COMBINER_WIDTH if text == combiner else NORM_WIDTH
    top, left = frame.y + canvas.combiner_y, frame.center - width // 2
    return canvas.add_box(Rectangle(left, top, width, COMBINER_HEIGHT, "combiner", combiner), [text])


def _draw_zero(canvas: _Canvas, frame: Rectangle) -> Rectangle:
    """The result of a block of two 'none'."""
    top, left = frame.y + (frame.height - ZERO_SIZE) // 2, frame.center - ZERO_SIZE // 2
    return canvas.add_box(Rectangle(left, top, ZERO_SIZE, ZERO_SIZE, "identity", "zero"), ["0"])


def _combining_arrow(operation: Rectangle, combiner: Rectangle) -> Arrow:
    # Only the wide combiner of a norm reaches over the middle of the operation; into a narrow one the line
    # must bend.
    if combiner.x < operation.center < combiner.right:
        return upward_arrow([(operation.center, operation.y), (operation.center, combiner.bottom)])
    return elbow_arrow(operation, combiner)


def _draw_concat(canvas: _Canvas, top_row: list[Slot], width: int) -> None:
    """Draws the concatenation and the output; lines into the bar are vertical, as it spans the drawing."""
    bar = Rectangle(0, STATE_HEIGHT + OUTPUT_GAP, width, CONCAT_HEIGHT, "concat", "concat")
    canvas.add_box(bar, ["concat"])
    output = Rectangle(bar.center - INPUT_WIDTH // 2, 0, INPUT_WIDTH, STATE_HEIGHT, "output", "output")
    canvas.add_box(output, ["h"], OUTPUT_SUBSCRIPT)
    canvas.arrows.append(upward_arrow([(bar.center, bar.y), (bar.center, output.bottom)]))
    for slot in top_row:
        if slot.state in canvas.cell.concat:
            _draw_line(canvas, slot, len(canvas.tops) - 1, (int(slot.x), bar.bottom))


def _draw_outputs(canvas: _Canvas, row: list[Slot]) -> None:
    """Draws the outputs of a chained cell, in order; a single one is the next hidden state."""
    for slot in row:
        left, name = int(slot.x) - INPUT_WIDTH // 2, f"output {slot.output}"
        box = Rectangle(left, 0, INPUT_WIDTH, STATE_HEIGHT, "output", name)
        if len(row) == 1:
            canvas.add_box(box, ["h"], OUTPUT_SUBSCRIPT)
        else:
            canvas.add_box(box, ["out"], str(slot.output))
        _draw_line(canvas, slot.sources[0][0], len(canvas.tops) - 2, (box.center, box.bottom))


def _draw_line(canvas: _Canvas, slot: Slot, height: int, tip: Position) -> None:
    """Draws a state's line from its box, through its lanes, to `tip` above the row `height`."""
    # From the tip down: a lane has exactly one source, but may have several users. The path is reversed at
    # the end.
    path: list[Position] = [tip]
    while slot.is_lane:
        top = canvas.tops[height]
        path += [(int(slot.x), top), (int(slot.x), top + canvas.group_height)]
        slot, height = slot.sources[0][0], height - 1
    path.append((int(slot.x), canvas.exits[slot.state]))
    kind = f"input_{slot.state}" if slot.state < canvas.cell.num_inputs else "line"
    canvas.arrows.append(upward_arrow(path[::-1], slot.state, kind))
