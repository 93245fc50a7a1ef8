"""Paths and operations of cells that were worked out by hand."""

from __future__ import annotations

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype
from raynas.cells.paths import END, MAX_BLOCKS_IN_FULL, operation_counts, path_counts
from search_spaces.nasbench201 import from_arch_string

CELL = CellGenotype(
    (
        Block(0, "conv_3x3", 1, "identity"),
        Block(2, "conv_1x1", 0, "none"),
        Block(2, "identity", 3, "max_pool_3x3"),
    ),
    (4,),
)


def test_identities_leave_no_trace_and_nothing_passes_through_none():
    assert path_counts(CELL) == {
        (0, "conv_3x3"): 1,
        (1,): 1,
        (0, "conv_3x3", "conv_1x1", "max_pool_3x3"): 1,
        (1, "conv_1x1", "max_pool_3x3"): 1,
    }
    assert operation_counts(CELL) == {"conv_3x3": 1, "conv_1x1": 1, "max_pool_3x3": 1}


def test_operations_before_or_behind_none_do_not_count():
    dead = "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
    cell = from_arch_string(dead).normal
    assert path_counts(cell) == {(0, "conv_1x1"): 1}
    assert operation_counts(cell) == {"conv_1x1": 1}


def test_equal_graphs_have_equal_paths():
    cell = from_arch_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|")
    twin = from_arch_string("|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|avg_pool_3x3~1|skip_connect~2|")
    assert path_counts(cell.normal) == path_counts(twin.normal)
    assert operation_counts(cell.normal) == operation_counts(twin.normal)


def test_of_a_cell_with_many_blocks_the_ends_of_paths_are_counted():
    num_blocks = MAX_BLOCKS_IN_FULL + 1
    blocks = tuple(
        Block(max(state - 1, 0), "conv_1x1", max(state - 1, 0), "conv_1x1")
        for state in range(2, 2 + num_blocks)
    )
    cell = CellGenotype(blocks, (1 + num_blocks,))
    assert path_counts(cell) == {("conv_1x1",) * END: 2**num_blocks}
