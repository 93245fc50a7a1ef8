"""The search space of AmoebaNet and the cells that evolution found in it.

Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier Architecture Search" (arXiv
1802.01548), section 3: NASNet's two cells with eight operations, always a sum. The cells in the authors' code
also concatenate states that are used, and some have further operations: those are not in this space.
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

AMOEBANET_OPERATIONS = (
    "identity",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
    "conv_1x7_7x1",
)


@register_space("amoebanet")
class AmoebaNetSpace(NASNetSpace):
    """NASNet's blocks with eight operations, always a sum."""

    # The authors' code raises drop path with the training's progress alone (its version v1).
    network: ClassVar[Mapping[str, Any]] = {"drop_path_by_depth": False}

    operations: Annotated[tuple[str, ...], Field(min_length=1)] = AMOEBANET_OPERATIONS
    """Operations to choose from; the paper's eight."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = ("add",)
    """Combiners to choose from; the paper only adds. With more than one, the combiner is a decision."""


# In the authors' code, 1x7_7x1 and 3x3 are bottlenecks and 'none' is the identity. Their AmoebaNet-A and that
# of the DARTS family's table differ in blocks and in what is concatenated, so both are given.
_AUTHORS = "Real et al. 2019, arXiv 1802.01548; tensorflow/tpu models/official/amoeba_net/model_specs.py"

AMOEBANET_A_TPU = publish(
    "amoebanet_a_tpu",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(0, "avg_pool_3x3", 0, "max_pool_3x3"),
                Block(1, "sep_conv_3x3", 1, "identity"),
                Block(0, "identity", 1, "avg_pool_3x3"),
                Block(0, "sep_conv_3x3", 2, "sep_conv_5x5"),
                Block(5, "avg_pool_3x3", 0, "sep_conv_3x3"),
            ),
            concat=(1, 3, 4, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(1, "sep_conv_3x3", 0, "avg_pool_3x3"),
                Block(0, "max_pool_3x3", 2, "sep_conv_7x7"),
                Block(1, "max_pool_3x3", 0, "max_pool_3x3"),
                Block(4, "sep_conv_3x3", 0, "bottleneck_1x7_7x1"),
                Block(1, "avg_pool_3x3", 0, "sep_conv_7x7"),
            ),
            concat=(2, 3, 4, 5, 6),
        ),
    ),
    source=f"{_AUTHORS}, amoeba_net_a",
)

AMOEBANET_A_DARTS = publish(
    "amoebanet_a_darts",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(1, "avg_pool_3x3", 0, "max_pool_3x3"),
                Block(1, "sep_conv_3x3", 2, "sep_conv_5x5"),
                Block(1, "sep_conv_3x3", 3, "avg_pool_3x3"),
                Block(0, "sep_conv_3x3", 0, "identity"),
                Block(1, "identity", 0, "avg_pool_3x3"),
            ),
            concat=(4, 5, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(1, "avg_pool_3x3", 0, "sep_conv_3x3"),
                Block(1, "max_pool_3x3", 2, "sep_conv_7x7"),
                Block(1, "sep_conv_7x7", 0, "avg_pool_3x3"),
                Block(1, "max_pool_3x3", 0, "max_pool_3x3"),
                Block(1, "conv_1x7_7x1", 5, "sep_conv_3x3"),
            ),
            concat=(3, 4, 6),
        ),
    ),
    source="Real et al. 2019, arXiv 1802.01548, in the version of quark0/darts cnn/genotypes.py (2018)",
)

AMOEBANET_B = publish(
    "amoebanet_b",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(1, "conv_1x1", 1, "max_pool_3x3"),
                Block(1, "identity", 0, "sep_conv_3x3"),
                Block(1, "conv_1x1", 0, "sep_conv_3x3"),
                Block(2, "conv_1x1", 2, "identity"),
                Block(1, "avg_pool_3x3", 5, "conv_1x1"),
            ),
            concat=(0, 3, 4, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(0, "max_pool_2x2", 0, "max_pool_3x3"),
                Block(2, "identity", 1, "bottleneck_3x3"),
                # It is named dil_2_separable_5x5_2, but the code that builds it ignores the dilation.
                Block(2, "sep_conv_5x5", 2, "max_pool_3x3"),
                Block(3, "identity", 1, "sep_conv_3x3"),
                Block(4, "avg_pool_3x3", 3, "conv_1x1"),
            ),
            concat=(5, 6),
        ),
    ),
    source=f"{_AUTHORS}, amoeba_net_b",
)

AMOEBANET_C = publish(
    "amoebanet_c",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(0, "avg_pool_3x3", 0, "sep_conv_3x3"),
                Block(0, "identity", 0, "sep_conv_3x3"),
                Block(2, "avg_pool_3x3", 1, "sep_conv_3x3"),
                Block(0, "identity", 1, "sep_conv_3x3"),
                Block(3, "avg_pool_3x3", 0, "sep_conv_3x3"),
            ),
            concat=(1, 2, 4, 5, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(0, "max_pool_3x3", 0, "max_pool_3x3"),
                Block(2, "sep_conv_7x7", 0, "sep_conv_3x3"),
                Block(0, "sep_conv_7x7", 1, "max_pool_3x3"),
                Block(4, "sep_conv_5x5", 4, "sep_conv_5x5"),
                Block(1, "max_pool_3x3", 1, "sep_conv_3x3"),
            ),
            concat=(0, 2, 3, 4, 5, 6),
        ),
    ),
    source=f"{_AUTHORS}, amoeba_net_c",
)

AMOEBANET_D = publish(
    "amoebanet_d",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(1, "conv_1x1", 1, "max_pool_3x3"),
                Block(1, "identity", 0, "bottleneck_1x7_7x1"),
                Block(0, "conv_1x1", 0, "bottleneck_1x7_7x1"),
                Block(2, "max_pool_3x3", 2, "identity"),
                Block(1, "avg_pool_3x3", 5, "conv_1x1"),
            ),
            concat=(0, 3, 4, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(0, "max_pool_2x2", 0, "max_pool_3x3"),
                Block(2, "identity", 1, "bottleneck_3x3"),
                Block(2, "bottleneck_1x7_7x1", 2, "max_pool_3x3"),
                Block(3, "identity", 1, "max_pool_2x2"),
                Block(2, "avg_pool_3x3", 3, "conv_1x1"),
            ),
            concat=(4, 5, 6),
        ),
    ),
    source=f"{_AUTHORS}, amoeba_net_d",
)
