"""What ego gains from knowing cells: ego with fewer features, and with those of other cells.

    OF=benchmarks.features
    python -m raynas benchmark --recipe benchmarks/nasbench201_cifar10.toml --table TABLE --budget 2000 \
        --budget 20000 --strategies ego,$OF:Shuffled,$OF:Parameters,$OF:Choices

If paths and operations of a cell help, then those of another cell, drawn at random, must not.
"""

from __future__ import annotations

import math
import random

from raynas.cells.genotype import CellGenotype
from raynas.cells.paths import operation_counts
from raynas.cells.space import Actions
from raynas.nn.layers import Conv
from raynas.nn.ops import OpShape, op_layers
from raynas.strategies.description import Describe, Features, describe_cells
from raynas.strategies.ego import EGO
from raynas.strategies.mutation import random_actions

CHANNELS = 16
"""Channels at which the parameters of operations are compared."""
LEVELS = 4
"""Features per doubling of the parameters."""


class Choices(EGO):
    """ego that compares cells by their decisions alone."""

    def _describe(self) -> Describe:
        return lambda actions: (list(enumerate(actions)),)


class Parameters(EGO):
    """ego that knows the parameters of a cell besides its decisions."""

    def _describe(self) -> Describe:
        def describe(actions: Actions) -> tuple[Features, ...]:
            genotype = self.space.decode(actions)
            total = parameters(genotype.normal) + parameters(genotype.reduction)
            level = round(LEVELS * math.log2(1 + total / CHANNELS))
            return list(enumerate(actions)), list(range(level))

        return describe


class Shuffled(EGO):
    """ego that takes the paths and operations of another cell for those of a cell, always the same."""

    def _describe(self) -> Describe:
        describe_own = describe_cells(self.space)

        def describe(actions: Actions) -> tuple[Features, ...]:
            other = random_actions(self.space, random.Random(f"{self.seed}/{actions}"))
            return list(enumerate(actions)), *describe_own(other)[1:]

        return describe


def parameters(cell: CellGenotype) -> int:
    """Weights of the convolutions in use, if all states had CHANNELS channels."""
    counts = operation_counts(cell)
    return sum(
        count * layer.out_channels * (layer.in_channels // layer.groups) * math.prod(layer.kernel)
        for op, count in counts.items()
        for layer in op_layers(op, OpShape(CHANNELS, CHANNELS))
        if isinstance(layer, Conv)
    )
