"""The micro search space of ENAS and the cell that was found in it.

Pham, Guan, Zoph, Le, Dean, "Efficient Neural Architecture Search via Parameter Sharing" (arXiv 1802.03268),
section 2.4: NASNet's blocks with five operations, always a sum; unused states are concatenated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.published import publish
from raynas.cells.space import register_space
from search_spaces.nasnet import NASNetSpace

ENAS_OPERATIONS = ("identity", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


@register_space("enas")
class EnasSpace(NASNetSpace):
    """NASNet's blocks with five operations, always a sum."""

    # Other than NASNet's code, ENAS's has a factorised reduction, without a ReLU, for an identity of stride
    # 2.
    network: ClassVar[Mapping[str, Any]] = {"conventions": {"strided_identity": "factorized"}}

    operations: Annotated[tuple[str, ...], Field(min_length=1)] = ENAS_OPERATIONS
    """Operations to choose from; the paper's five."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = ("add",)
    """Combiners to choose from; the paper only adds. With more than one, the combiner is a decision."""


# The script numbers the inputs the other way round: there 0 is h_(i-1) and 1 is h_i.
ENAS_MICRO = publish(
    "enas_micro",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(1, "avg_pool_3x3", 1, "sep_conv_3x3"),
                Block(1, "identity", 1, "sep_conv_5x5"),
                Block(1, "identity", 0, "sep_conv_5x5"),
                Block(0, "sep_conv_3x3", 1, "sep_conv_5x5"),
                Block(1, "avg_pool_3x3", 0, "sep_conv_5x5"),
            ),
            concat=(2, 3, 4, 5, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(0, "sep_conv_3x3", 0, "sep_conv_3x3"),
                Block(1, "max_pool_3x3", 1, "avg_pool_3x3"),
                Block(0, "sep_conv_5x5", 3, "sep_conv_5x5"),
                Block(0, "sep_conv_3x3", 1, "identity"),
                Block(1, "max_pool_3x3", 0, "sep_conv_5x5"),
            ),
            concat=(2, 4, 5, 6),
        ),
    ),
    source="Pham et al. 2018, arXiv 1802.03268; melodyguan/enas scripts/cifar10_micro_final.sh",
)
