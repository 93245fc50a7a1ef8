"""Traits of an architecture."""

from __future__ import annotations

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.traits import traits


def test_depth_skips_and_shares_are_counted() -> None:
    chain = CellGenotype((Block(0, "identity", 1, "conv_1x1"), Block(2, "identity", 0, "conv_3x3")), (3,))
    flat = CellGenotype((Block(0, "conv_1x1", 1, "conv_1x1"), Block(0, "identity", 1, "conv_1x1")), (2, 3))
    found = traits(Genotype(chain, flat))
    assert (found.normal_depth, found.reduction_depth, found.skip_connections) == (2, 1, 3)
    assert found.shares == {"conv_1x1": 0.5, "identity": 0.375, "conv_3x3": 0.125}
