"""The search space of progressive NAS and the cell that was found in it.

Liu, Zoph, Neumann, Shlens, Hua, Li, Fei-Fei, Yuille, Huang, Murphy, "Progressive Neural Architecture Search"
(arXiv 1712.00559), section 3: one cell, which with stride 2 is also the reduction cell; eight operations;
always a sum.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.published import publish
from raynas.cells.space import register_space
from search_spaces.nasnet import NASNetSpace

PNASNET_OPERATIONS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "conv_1x7_7x1",
    "identity",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
)


@register_space("pnasnet")
class PNASNetSpace(NASNetSpace):
    """One cell for both strides: NASNet's blocks with eight operations, always a sum."""

    cells: ClassVar[tuple[str, ...]] = ("cell",)

    operations: Annotated[tuple[str, ...], Field(min_length=1)] = PNASNET_OPERATIONS
    """Operations to choose from; the paper's eight."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = ("add",)
    """Combiners to choose from; the paper only adds. With more than one, the combiner is a decision."""


# The official code concatenates every block, even state 4, which block 3 takes. The cell is therefore not in
# the space, which concatenates only states that no block takes.
_CELL = CellGenotype(
    blocks=(
        Block(1, "sep_conv_5x5", 1, "max_pool_3x3"),
        Block(0, "sep_conv_7x7", 0, "max_pool_3x3"),
        Block(0, "sep_conv_5x5", 0, "sep_conv_3x3"),
        Block(4, "sep_conv_3x3", 0, "max_pool_3x3"),
        Block(1, "sep_conv_3x3", 0, "identity"),
    ),
    concat=(2, 3, 4, 5, 6),
)
PNASNET5 = publish(
    "pnasnet5",
    Genotype(normal=_CELL, reduction=_CELL),
    source="Liu et al. 2018, arXiv 1712.00559, figure 1; tensorflow/models slim nets/nasnet/pnasnet.py",
)
