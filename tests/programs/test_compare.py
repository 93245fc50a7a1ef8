"""What two cells don't have in common."""

from __future__ import annotations

from raynas.cells.block import Block
from raynas.cells.draw.svg import cell_svg
from raynas.cells.genotype import CellGenotype
from raynas.programs.compare.differences import described, new_blocks

ONE = CellGenotype((Block(0, "identity", 1, "conv_1x1"), Block(2, "conv_3x3", 0, "identity")), (3,))
TURNED = CellGenotype((Block(1, "conv_1x1", 0, "identity"), Block(0, "identity", 2, "conv_3x3")), (3,))
OTHER = CellGenotype((Block(0, "identity", 1, "conv_3x3"), Block(2, "conv_3x3", 0, "identity")), (3,))


def test_halves_in_another_order_are_no_difference() -> None:
    assert new_blocks(TURNED, ONE) == new_blocks(ONE, ONE) == frozenset()


def test_one_changed_block_does_not_mark_what_builds_on_it() -> None:
    assert new_blocks(OTHER, ONE) == {0}
    assert described(OTHER.blocks[0], 2) == "conv_3x3(input 1) add identity(input 0)"


def test_marked_blocks_stand_out_and_pictures_share_a_size() -> None:
    svg = cell_svg(OTHER, is_reduction=False, marked=frozenset({0}), min_size=(900, 900))
    assert svg.count("#fff1de") == 1
    assert 'width="900" height="900"' in svg
