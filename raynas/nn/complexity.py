"""Parameters, multiply-adds and activations of a network, computed from its layer plan in milliseconds.

Nothing is built. No torch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raynas.cells.genotype import Genotype
from raynas.nn.cell_plan import CellPlan
from raynas.nn.config import NetworkConfig
from raynas.nn.layers import Conv, FactorizedReduction, GroupNorm, Layer, Layers, Norm, out_size
from raynas.nn.plan import NetworkPlan, check_image_size, plan_network

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, slots=True)
class Complexity:
    """Size of a network, and its cost for one image at inference."""

    parameters: int = 0
    mult_adds: int = 0
    """Multiply-adds of convolutions and linear layers, which is what NAS papers count."""
    activations: int = 0
    """Outputs of all convolutions (Radosavovic et al. 2020, "Designing Network Design Spaces")."""

    def __mul__(self, times: int) -> Complexity:
        """The cost of doing it `times` times with the same parameters."""
        return Complexity(self.parameters, self.mult_adds * times, self.activations * times)

    def __add__(self, other: Complexity) -> Complexity:
        return Complexity(
            self.parameters + other.parameters,
            self.mult_adds + other.mult_adds,
            self.activations + other.activations,
        )


def complexity(
    genotype: Genotype, config: NetworkConfig, *, in_channels: int, num_classes: int, image_size: int
) -> Complexity:
    """The network's size without its auxiliary head, as in the papers' tables.

    Raises:
        InvalidConfig: the images are too small for so many reductions, or the stem needs more filters.
    """
    plan = plan_network(genotype, config, in_channels=in_channels)
    check_image_size(plan, image_size, config)
    size = (image_size, image_size)
    sizes = plan.map_sizes(size)
    # One more weight per class is the bias, which the papers don't count as a multiply-add.
    classifier = Complexity((plan.num_features + 1) * num_classes, plan.num_features * num_classes)
    return (
        stem_complexity(plan, size)
        + cells_complexity(plan, sizes)
        + layers_complexity(plan.head, sizes[-1])
        + (classifier if num_classes else Complexity())
    )


def stem_complexity(plan: NetworkPlan, image_size: Size) -> Complexity:
    """The stem's size, for pictures of `image_size`."""
    total, size = Complexity(), image_size
    # The sizes go on with the cells' outputs, so they are longer.
    for layers, out in zip(plan.stem, plan.map_sizes(image_size), strict=False):
        total, size = total + layers_complexity(layers, size), out
    return total


def cells_complexity(plan: NetworkPlan, sizes: Sequence[Size], cells: slice = slice(None)) -> Complexity:
    """The size of some of the network's cells.

    Args:
        sizes: (height, width) of each output, by its number.
        cells: which cells; all by default.
    """
    return _total(
        _cell_cost(cell.plan, sizes[cell.current], sizes[cell.previous]) for cell in plan.cells[cells]
    )


def layers_complexity(layers: Layers, size: Size) -> Complexity:
    """The size of layers whose input has `size`."""
    costs = []
    for layer in layers:
        size = out_size(layer, size)
        costs.append(_layer_cost(layer, size))
    return _total(costs)


# A network repeats a few cells at a few sizes.
@functools.lru_cache(maxsize=512)
def _cell_cost(cell: CellPlan, current_size: Size, previous_size: Size) -> Complexity:
    # Once they are matched, all inputs have the current state's size.
    stride = cell.shape.stride
    inside = (-(-current_size[0] // stride), -(-current_size[1] // stride))
    # The size that each state has as an operation's input. In a Reduction cell, inputs are larger than
    # blocks' outputs.
    sizes = dict.fromkeys(cell.inputs, current_size) | {state: inside for state, _ in cell.blocks}
    parts: list[tuple[Layers, Size]] = [
        (layers, previous_size if state == 1 and not cell.is_chained else current_size)
        for state, layers in zip(cell.inputs, cell.match, strict=True)
    ]
    for _, plan in cell.blocks:
        parts += [(plan.op_a, sizes[plan.block.input_a]), (plan.op_b, sizes[plan.block.input_b])]
        parts.append((plan.merge, inside))
    parts += [(layers, current_size) for _, layers in cell.fix_ups]
    return _total(layers_complexity(layers, size) for layers, size in parts)


def _layer_cost(layer: Layer, size: Size) -> Complexity:
    """The cost of a layer whose output has `size` (height, width)."""
    area = size[0] * size[1]
    if isinstance(layer, Conv):
        weights = layer.out_channels * (layer.in_channels // layer.groups) * layer.kernel[0] * layer.kernel[1]
        return Complexity(weights, weights * area, layer.out_channels * area)
    if isinstance(layer, FactorizedReduction):
        # Its two convolutions, of half the channels each, are together as large as one 1x1 convolution.
        weights = layer.in_channels * layer.out_channels
        return Complexity(weights + 2 * layer.out_channels, weights * area, layer.out_channels * area)
    # A scale and a shift per channel. Running statistics are no parameters, and norms have no multiply-adds
    # here.
    if isinstance(layer, Norm | GroupNorm):
        return Complexity(2 * layer.channels)
    return Complexity()


def _total(costs: Iterable[Complexity]) -> Complexity:
    return sum(costs, Complexity())
