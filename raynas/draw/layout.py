"""One cell as boxes, arrows and texts, whatever they are written to later.

The inputs stand at the bottom, above them the blocks in rows, each with its two operations below its
combiner, then the bar that concatenates, then the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from raynas.draw.arrows import elbow_arrow, upward_arrow
from raynas.draw.placing import Rows, place
from raynas.draw.rows import GROUP_PADDING, GROUP_WIDTH, INPUT_WIDTH, OP_WIDTH, Slot, cell_rows
from raynas.draw.shapes import Arrow, Box, CellDrawing, Point, Text
from raynas.genotype import NUM_INPUTS, Block, CellGenotype

FONT_SIZE = 12
SMALL_SIZE = 10
LINE_HEIGHT = 14
STATE_HEIGHT = 26
CONCAT_HEIGHT = 24
COMBINER_WIDTH = 54
COMBINER_HEIGHT = 22
COMBINER_GAP = 12
OP_HEIGHT = 38
STRIDED_OP_HEIGHT = 50
OUTPUT_GAP = 26
CONCAT_GAP = 34
MIN_ROW_GAP = 40
MAX_ROW_GAP = 120
SPAN_PER_GAP = 7
"""A gap between rows grows by one unit for each so many units that its widest line goes sideways."""
MIN_MARGIN = 14
"""From a lane to the edge of the drawing."""
INPUT_SUBSCRIPTS = ("i", "i-1")
OUTPUT_SUBSCRIPT = "i+1"


@dataclass(slots=True)
class _Canvas:
    """A drawing in the making."""

    op_height: int
    tops: list[int]
    boxes: list[Box] = field(default_factory=list)
    groups: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def add_box(self, box: Box, lines: Sequence[str], subscript: str = "") -> Box:
        """The box with its lines in the middle, the third one smaller."""
        baseline = box.y + (box.height - LINE_HEIGHT * len(lines)) // 2 + LINE_HEIGHT - 3
        for index, line in enumerate(lines):
            size = FONT_SIZE if index < 2 else SMALL_SIZE
            self.texts.append(Text(box.center, baseline + LINE_HEIGHT * index, line, size, subscript))
        self.boxes.append(box)
        return box

    @property
    def group_height(self) -> int:
        return _group_height(self.op_height)


def cell_layout(cell: CellGenotype, *, is_reduction: bool) -> CellDrawing:
    """Place everything; a reduction cell marks its operations on the two cell inputs with their stride."""
    rows = cell_rows(cell)
    place(rows)
    width = _shift_to_zero(rows)
    op_height = STRIDED_OP_HEIGHT if is_reduction else OP_HEIGHT
    canvas = _Canvas(op_height, _row_tops(rows, _group_height(op_height)))
    _draw_inputs(canvas, rows[0])
    for height, row in enumerate(rows[1:], start=1):
        for slot in row:
            if slot.block is not None:
                _draw_block(canvas, slot, slot.block, height, is_reduction)
    _draw_output(canvas, cell, rows[-1], width)
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
    """Which of the four colours of operations: 'sep_conv', 'conv', 'pool' or 'identity'."""
    for kind in ("sep_conv", "pool", "conv"):
        if kind in op:
            return kind
    return "identity"


def op_lines(op: str, *, stride: int) -> list[str]:
    """'max_pool_3x3' as 'max pool' over '3x3', over the stride if it is not 1."""
    words = op.split("_")
    name = " ".join(word for word in words if not word[0].isdigit())
    kernel = " ".join(word for word in words if word[0].isdigit())
    lines = [name, kernel] if kernel else [name]
    return lines if stride == 1 else [*lines, f"stride {stride}"]


def _group_height(op_height: int) -> int:
    return 2 * GROUP_PADDING + COMBINER_HEIGHT + COMBINER_GAP + op_height


def _shift_to_zero(rows: Rows) -> int:
    """Move the drawing to x = 0, each slot to a whole number; returns its width."""
    slots = [slot for row in rows for slot in row]
    left = min(slot.x - max(slot.half_width, MIN_MARGIN) for slot in slots)
    for slot in slots:
        slot.x = round(slot.x - left)
    return int(max(slot.x + max(slot.half_width, MIN_MARGIN) for slot in slots)) + 1


def _row_tops(rows: Rows, group_height: int) -> list[int]:
    """The y of the upper edge of each row, the inputs' first."""
    top = STATE_HEIGHT + OUTPUT_GAP + CONCAT_HEIGHT + CONCAT_GAP
    tops = [top]
    for row in reversed(rows[1:]):
        span = max(abs(source.x - slot.port_x(port)) for slot in row for source, port in slot.sources)
        gap = min(MAX_ROW_GAP, MIN_ROW_GAP + int(span) // SPAN_PER_GAP)
        tops.append(tops[-1] + group_height + gap)
    return tops[::-1]


def _draw_inputs(canvas: _Canvas, row: list[Slot]) -> None:
    for slot in row:
        left, kind = int(slot.x) - INPUT_WIDTH // 2, f"input_{slot.state}"
        box = Box(left, canvas.tops[0], INPUT_WIDTH, STATE_HEIGHT, kind, f"state {slot.state}")
        canvas.add_box(box, ["h"], INPUT_SUBSCRIPTS[slot.state])


def _draw_block(canvas: _Canvas, slot: Slot, block: Block, height: int, is_reduction: bool) -> None:
    top = canvas.tops[height]
    combiner = _draw_frame(canvas, slot, block, top)
    op_top = top + canvas.group_height - GROUP_PADDING - canvas.op_height
    halves = ((block.input_a, block.op_a), (block.input_b, block.op_b))
    for (source, port), (state, op) in zip(slot.sources, halves, strict=True):
        stride = 2 if is_reduction and state < NUM_INPUTS else 1
        left = int(slot.port_x(port)) - OP_WIDTH // 2
        box = canvas.add_box(
            Box(left, op_top, OP_WIDTH, canvas.op_height, op_kind(op), op), op_lines(op, stride=stride)
        )
        path = _way_up(canvas, source, height - 1)
        canvas.arrows += (elbow_arrow(box, combiner), upward_arrow([*path, (box.center, box.bottom)], state))


def _draw_frame(canvas: _Canvas, slot: Slot, block: Block, top: int) -> Box:
    """The block's background with its number and its combiner, which is returned."""
    index, center = slot.state - NUM_INPUTS, int(slot.x)
    left = center - GROUP_WIDTH // 2
    canvas.groups.append(Box(left, top, GROUP_WIDTH, canvas.group_height, "group", str(index)))
    canvas.texts.append(Text(left + 6, top + 12, f"block {index}", SMALL_SIZE, is_faint=True, is_left=True))
    combiner = Box(
        center - COMBINER_WIDTH // 2,
        top + GROUP_PADDING,
        COMBINER_WIDTH,
        COMBINER_HEIGHT,
        "combiner",
        block.combiner,
    )
    return canvas.add_box(combiner, [block.combiner])


def _draw_output(canvas: _Canvas, cell: CellGenotype, top_row: list[Slot], width: int) -> None:
    """The bar spans the drawing, so that the lines into it are vertical."""
    bar = Box(0, STATE_HEIGHT + OUTPUT_GAP, width, CONCAT_HEIGHT, "concat", "concat")
    canvas.add_box(bar, ["concat"])
    output = Box(bar.center - INPUT_WIDTH // 2, 0, INPUT_WIDTH, STATE_HEIGHT, "output", "output")
    canvas.add_box(output, ["h"], OUTPUT_SUBSCRIPT)
    canvas.arrows.append(upward_arrow([(bar.center, bar.y), (bar.center, output.bottom)]))
    for slot in top_row:
        if slot.state in cell.concat:
            path = _way_up(canvas, slot, len(canvas.tops) - 1)
            canvas.arrows.append(upward_arrow([*path, (path[-1][0], bar.bottom)], slot.state))


def _way_up(canvas: _Canvas, slot: Slot, height: int) -> list[Point]:
    """From the box that yields the slot's state, through its lanes, to the upper edge of the row `height`."""
    path: list[Point] = []
    while slot.is_lane:
        top = canvas.tops[height]
        path += [(int(slot.x), top), (int(slot.x), top + canvas.group_height)]
        slot, height = slot.sources[0][0], height - 1
    path.append((int(slot.x), canvas.tops[height] + (GROUP_PADDING if height else 0)))
    return path[::-1]
