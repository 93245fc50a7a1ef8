"""Laws of the layout, for any valid cell."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import strategies as st

from raynas.cells.block import MAX_BLOCKS, OPERATIONS, Block
from raynas.cells.draw.layout import cell_layout, combiner_text, op_kind, op_lines
from raynas.cells.draw.rows import MAX_BLOCKS_PER_ROW, live_halves
from raynas.cells.draw.shapes import CellDrawing, Rectangle
from raynas.cells.genotype import CellGenotype
from search_spaces.nasnet import NASNET_A
from tests.cells.draw.drawn_cells import (
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


def op_boxes(drawing: CellDrawing) -> list[Rectangle]:
    return [box for box in drawing.boxes if box.name in OPERATIONS]


@for_all(drawing=drawings)
def test_boxes_do_not_overlap(drawing):
    assert not [pair for pair in combinations(drawing.boxes, 2) if overlap(*pair)]


@for_all(drawing=drawings)
def test_blocks_do_not_overlap_each_other_nor_a_box_that_is_not_theirs(drawing):
    assert not [pair for pair in combinations(drawing.groups, 2) if overlap(*pair)]
    for group in drawing.groups:
        assert all(contains(group, box) for box in drawing.boxes if overlap(group, box))


@for_all(cell=cells())
def test_a_block_holds_its_edges_and_a_combiner_unless_there_is_nothing_to_combine(cell):
    drawing = cell_layout(cell, is_reduction=False)
    for block, group in zip(cell.blocks, drawing.groups, strict=True):
        held = sorted(box.name for box in drawing.boxes if contains(group, box))
        ops = [op for _, op in live_halves(block)]
        if not ops:
            assert held == ["zero"]
        else:
            is_sum_of_one = len(ops) == 1 and block.combiner == "add"
            assert held == sorted(ops if is_sum_of_one else [*ops, block.combiner])


@for_all(drawing=drawings)
def test_everything_lies_within_the_drawing(drawing):
    frame = Rectangle(0, 0, drawing.width, drawing.height, "", "")
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
    inputs = [state for block in cell.blocks for state, _ in live_halves(block)]
    assert sorted(states) == sorted([*inputs, *cell.concat])
    sums_of_one = [block for block in cell.blocks if block.combiner == "add" and len(live_halves(block)) == 1]
    out_of_bars = 0 if cell.is_chained else 1
    assert len(drawing.arrows) - len(states) == len(inputs) - len(sums_of_one) + out_of_bars


@for_all(cell=cells())
def test_each_arrow_leaves_the_box_that_yields_its_state(cell):
    drawing = cell_layout(cell, is_reduction=False)
    names = {box.name: box for box in drawing.boxes}
    origins = {state: names[f"state {state}"] for state in range(cell.num_inputs)}
    for group in drawing.groups:
        held = [box for box in drawing.boxes if contains(group, box)]
        origins[cell.num_inputs + int(group.name)] = min(held, key=lambda box: box.kind != "combiner")
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
        assert sorted(drawn) == sorted(live_halves(block))


@for_all(cell=cells())
def test_only_an_add_turns_its_operations_around(cell):
    drawing = cell_layout(cell, is_reduction=False)
    for block, group in zip(cell.blocks, drawing.groups, strict=True):
        if block.combiner == "concat":
            boxes = sorted(box for box in op_boxes(drawing) if contains(group, box))
            assert [box.name for box in boxes] == [op for _, op in live_halves(block)]


@for_all(cell=cells())
def test_a_chained_cell_gives_out_its_states_one_by_one_in_order(cell):
    drawing = cell_layout(cell, is_reduction=False)
    outputs = [box for box in sorted(drawing.boxes) if box.name.startswith("output ")]
    if not cell.is_chained:
        assert not outputs
        return
    into = {arrow.tip: arrow.state for arrow in drawing.arrows}
    assert [box.name for box in outputs] == [f"output {index}" for index in range(cell.num_inputs)]
    assert [into[box.center, box.bottom] for box in outputs] == list(cell.concat)
    assert "concat" not in [box.name for box in drawing.boxes if box.kind == "concat"]


@for_all(cell=cells())
def test_the_inputs_stand_in_order_and_their_lines_have_their_colours(cell):
    drawing = cell_layout(cell, is_reduction=False)
    inputs = [box.name for box in sorted(drawing.boxes) if box.kind.startswith("input_")]
    order = range(cell.num_inputs) if cell.is_chained else (1, 0)
    assert inputs == [f"state {state}" for state in order]
    for arrow in drawing.arrows:
        is_input = arrow.state is not None and arrow.state < cell.num_inputs
        assert arrow.kind == (f"input_{arrow.state}" if is_input else "line")


@for_all(drawing=drawings)
def test_a_block_s_number_is_beside_its_boxes(drawing):
    for group in drawing.groups:
        number = Rectangle(group.x + 6, group.y + 4, 41, 8, "", "")
        assert not [box for box in drawing.boxes if overlap(box, number)]


@for_all(cell=cells(), is_reduction=st.booleans())
def test_the_same_cell_is_drawn_the_same_way(cell, is_reduction):
    assert cell_layout(cell, is_reduction=is_reduction) == cell_layout(cell, is_reduction=is_reduction)


@for_all(cell=cells())
def test_stride_2_marks_exactly_the_reduction_cells_operations_on_cell_inputs(cell):
    texts = [text.text for text in cell_layout(cell, is_reduction=True).texts]
    states = [state for block in cell.blocks for state, _ in live_halves(block)]
    assert texts.count("stride 2") == sum(state < cell.num_inputs for state in states)
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
        ("bottleneck_1x7_7x1", "conv"),
        ("avg_pool_2x2_conv_1x1", "pool"),
        ("identity", "identity"),
    ],
)
def test_an_operation_has_the_colour_of_its_kind(op, kind):
    assert op_kind(op) == kind


def test_an_operation_is_written_as_name_kernel_and_stride():
    assert op_lines("conv_1x7_7x1", stride=2) == ["conv", "1x7 7x1", "stride 2"]
    assert op_lines("identity", stride=1) == ["identity"]
    assert op_lines("avg_pool_2x2_conv_1x1", stride=2) == ["avg 2x2,", "conv 1x1", "stride 2"]


def test_a_norm_is_written_behind_its_combiner():
    assert combiner_text("add_layer_norm") == "add, layer norm"
    assert combiner_text("concat") == "concat"
