"""Laws of the layout, for any valid cell."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import strategies as st

from raynas.draw.layout import cell_layout, op_kind, op_lines
from raynas.draw.rows import MAX_BLOCKS_PER_ROW
from raynas.draw.shapes import Box, CellDrawing
from raynas.genotype import MAX_BLOCKS, NUM_INPUTS, OPERATIONS, Block, CellGenotype
from search_spaces.nasnet import NASNET_A
from tests.draw.drawn_cells import (
    along,
    cells,
    chain,
    comb,
    contains,
    for_all,
    is_inside,
    is_on_border,
    overlap,
)

NORMAL, REDUCTION = NASNET_A.normal, NASNET_A.reduction
drawings = st.builds(cell_layout, cells(), is_reduction=st.booleans())


def op_boxes(drawing: CellDrawing) -> list[Box]:
    return [box for box in drawing.boxes if box.name in OPERATIONS]


@for_all(drawing=drawings)
def test_boxes_do_not_overlap(drawing):
    assert not [pair for pair in combinations(drawing.boxes, 2) if overlap(*pair)]


@for_all(drawing=drawings)
def test_blocks_do_not_overlap_each_other_nor_a_box_that_is_not_theirs(drawing):
    assert not [pair for pair in combinations(drawing.groups, 2) if overlap(*pair)]
    for group in drawing.groups:
        assert all(contains(group, box) for box in drawing.boxes if overlap(group, box))


@for_all(drawing=drawings)
def test_a_block_holds_two_operations_and_a_combiner(drawing):
    for group in drawing.groups:
        held = [box for box in drawing.boxes if contains(group, box)]
        assert sorted(box.kind == "combiner" for box in held) == [False, False, True]


@for_all(drawing=drawings)
def test_everything_lies_within_the_drawing(drawing):
    frame = Box(0, 0, drawing.width, drawing.height, "", "")
    assert all(contains(frame, box) for box in (*drawing.boxes, *drawing.groups))
    points = [point for arrow in drawing.arrows for point in (*arrow.points, *arrow.head)]
    assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in points)


@for_all(drawing=drawings)
def test_arrows_start_and_end_at_a_box_border(drawing):
    for arrow in drawing.arrows:
        assert any(is_on_border(arrow.start, box) for box in drawing.boxes)
        assert any(is_on_border(arrow.tip, box) for box in drawing.boxes)


@for_all(drawing=drawings)
def test_no_arrow_runs_through_a_box(drawing):
    for arrow in drawing.arrows:
        points = list(along(arrow))
        assert not [box for box in drawing.boxes if any(is_inside(x, y, box) for x, y in points)]


@for_all(drawing=drawings)
def test_an_arrow_enters_only_the_blocks_at_its_ends(drawing):
    for arrow in drawing.arrows:
        ends = (arrow.start, arrow.tip)
        foreign = [group for group in drawing.groups if not any(is_inside(*end, group) for end in ends)]
        points = list(along(arrow))
        assert not [group for group in foreign if any(is_inside(x, y, group) for x, y in points)]


@for_all(cell=cells())
def test_there_is_one_arrow_per_edge_of_the_cell(cell):
    drawing = cell_layout(cell, is_reduction=False)
    states = [arrow.state for arrow in drawing.arrows if arrow.state is not None]
    inputs = [state for block in cell.blocks for state in (block.input_a, block.input_b)]
    assert sorted(states) == sorted([*inputs, *cell.concat])
    assert len(drawing.arrows) - len(states) == 2 * len(cell.blocks) + 1


@for_all(cell=cells())
def test_each_arrow_leaves_the_box_that_yields_its_state(cell):
    drawing = cell_layout(cell, is_reduction=False)
    names = {box.name: box for box in drawing.boxes}
    origins = {state: names[f"state {state}"] for state in range(NUM_INPUTS)}
    for group in drawing.groups:
        combiners = [box for box in drawing.boxes if box.kind == "combiner" and contains(group, box)]
        origins[NUM_INPUTS + int(group.name)] = combiners[0]
    for arrow in drawing.arrows:
        if arrow.state is not None:
            assert arrow.start == (origins[arrow.state].center, origins[arrow.state].y)


@for_all(cell=cells())
def test_each_block_is_drawn_with_its_own_operations_and_inputs(cell):
    drawing = cell_layout(cell, is_reduction=False)
    for block, group in zip(cell.blocks, drawing.groups, strict=True):
        boxes = [box for box in op_boxes(drawing) if contains(group, box)]
        into = {arrow.tip: arrow.state for arrow in drawing.arrows}
        drawn = [(into[box.center, box.bottom], box.name) for box in boxes]
        assert sorted(drawn) == sorted([(block.input_a, block.op_a), (block.input_b, block.op_b)])


@for_all(cell=cells())
def test_only_an_add_turns_its_operations_around(cell):
    drawing = cell_layout(cell, is_reduction=False)
    for block, group in zip(cell.blocks, drawing.groups, strict=True):
        left, right = sorted(box for box in op_boxes(drawing) if contains(group, box))
        if block.combiner == "concat":
            assert (left.name, right.name) == (block.op_a, block.op_b)


@for_all(cell=cells(), is_reduction=st.booleans())
def test_the_same_cell_is_drawn_the_same_way(cell, is_reduction):
    assert cell_layout(cell, is_reduction=is_reduction) == cell_layout(cell, is_reduction=is_reduction)


@for_all(cell=cells())
def test_stride_2_marks_exactly_the_reduction_cells_operations_on_cell_inputs(cell):
    texts = [text.text for text in cell_layout(cell, is_reduction=True).texts]
    inputs = [state for block in cell.blocks for state in (block.input_a, block.input_b)]
    assert texts.count("stride 2") == inputs.count(0) + inputs.count(1)
    assert "stride 2" not in [text.text for text in cell_layout(cell, is_reduction=False).texts]


@pytest.mark.parametrize("cell", [chain(MAX_BLOCKS), comb(MAX_BLOCKS), chain(1), comb(1)])
def test_a_row_has_at_most_five_blocks_and_the_sides_stay_bounded(cell):
    drawing = cell_layout(cell, is_reduction=True)
    tops = [group.y for group in drawing.groups]
    assert max(map(tops.count, tops)) <= MAX_BLOCKS_PER_ROW
    assert drawing.width < 1300 and drawing.height < 2300


def test_nasnet_a_normal_stands_in_one_row_and_reduction_in_two():
    assert len({group.y for group in cell_layout(NORMAL, is_reduction=False).groups}) == 1
    assert len({group.y for group in cell_layout(REDUCTION, is_reduction=True).groups}) == 2


def test_an_input_that_nothing_uses_stands_beside_the_other_one():
    cell = CellGenotype((Block(0, "identity", 0, "conv_3x3"),), (2,))
    boxes = {box.name: box for box in cell_layout(cell, is_reduction=False).boxes}
    assert 0 < boxes["state 0"].x - boxes["state 1"].right < 40


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        ("sep_conv_5x5", "sep_conv"),
        ("dil_conv_3x3", "conv"),
        ("conv_1x7_7x1", "conv"),
        ("avg_pool_3x3", "pool"),
        ("identity", "identity"),
    ],
)
def test_an_operation_has_the_colour_of_its_kind(op, kind):
    assert op_kind(op) == kind


def test_an_operation_is_written_as_name_kernel_and_stride():
    assert op_lines("conv_1x7_7x1", stride=2) == ["conv", "1x7 7x1", "stride 2"]
    assert op_lines("identity", stride=1) == ["identity"]
