"""Parameters and multiply-adds of a (Genotype, NetworkConfig) by arithmetic: a millisecond, nothing is built.

Mirrors ops.py, cell.py and network.py; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raynas.genotype import NUM_INPUTS, CellGenotype, Genotype
from raynas.nn.cell import CellShape
from raynas.nn.network import NetworkConfig, cell_shapes, stem_channels


@dataclass(frozen=True, slots=True)
class Complexity:
    """`mult_adds` counts convolutions and linear layers for one image, as the NAS papers do."""

    parameters: int = 0
    mult_adds: int = 0

    def __add__(self, other: Complexity) -> Complexity:
        return Complexity(self.parameters + other.parameters, self.mult_adds + other.mult_adds)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Where an operation stands: channels in and out, and the sides of its input and output in pixels."""

    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    stride: int


def complexity(
    genotype: Genotype, config: NetworkConfig, *, in_channels: int, num_classes: int, image_size: int
) -> Complexity:
    """What the network costs at inference; the auxiliary head is left out, as in the papers' tables."""
    stem = stem_channels(config)
    total = _conv(in_channels, stem, 9, image_size) + _norm(stem)
    size, channels = image_size, stem
    for shape in cell_shapes(genotype, config):
        cell = genotype.reduction if shape.stride == 2 else genotype.normal
        total += _cell(cell, shape, size)
        size, channels = _halved(size, shape.stride), len(cell.concat) * shape.filters
    return total + Complexity((channels + 1) * num_classes, channels * num_classes)


def _cell(cell: CellGenotype, shape: CellShape, size: int) -> Complexity:
    total = _conv_norm(shape.current_channels, shape.filters, size)
    previous_channels = shape.filters
    if shape.previous_is_current:
        previous_channels = shape.current_channels
    elif shape.previous_is_larger or shape.previous_channels != shape.filters:
        # The halves of a factorised reduction add up to one 1x1 convolution.
        total += _conv_norm(shape.previous_channels, shape.filters, size)
    channels = [shape.filters, previous_channels] + [shape.filters] * len(cell.blocks)
    out_size = _halved(size, shape.stride)
    for block in cell.blocks:
        for op, state in ((block.op_a, block.input_a), (block.op_b, block.input_b)):
            in_size, stride = (size, shape.stride) if state < NUM_INPUTS else (out_size, 1)
            total += _OPS[op](_Layer(channels[state], shape.filters, in_size, out_size, stride))
        if block.combiner == "concat":
            total += _conv_norm(2 * shape.filters, shape.filters, out_size)
    for state in cell.concat:
        if state < NUM_INPUTS and (shape.stride == 2 or channels[state] != shape.filters):
            total += _conv_norm(channels[state], shape.filters, out_size)
    return total


def _halved(size: int, stride: int) -> int:
    return -(-size // stride)


def _conv(in_channels: int, out_channels: int, kernel_area: int, out_size: int) -> Complexity:
    weights = in_channels * out_channels * kernel_area
    return Complexity(weights, weights * out_size**2)


def _norm(channels: int) -> Complexity:
    return Complexity(2 * channels)


def _conv_norm(in_channels: int, out_channels: int, out_size: int, kernel_area: int = 1) -> Complexity:
    return _conv(in_channels, out_channels, kernel_area, out_size) + _norm(out_channels)


def _separable(in_channels: int, layer: _Layer, kernel: int) -> Complexity:
    depthwise = _conv(1, in_channels, kernel**2, layer.out_size)
    return depthwise + _conv_norm(in_channels, layer.out_channels, layer.out_size)


def _identity(layer: _Layer) -> Complexity:
    if layer.stride == 1 and layer.in_channels == layer.out_channels:
        return Complexity()
    return _conv_norm(layer.in_channels, layer.out_channels, layer.out_size)


def _pool(layer: _Layer) -> Complexity:
    if layer.in_channels == layer.out_channels:
        return Complexity()
    return _conv_norm(layer.in_channels, layer.out_channels, layer.out_size)


def _plain(kernel: int) -> Callable[[_Layer], Complexity]:
    return lambda layer: _conv_norm(layer.in_channels, layer.out_channels, layer.out_size, kernel**2)


def _factorized(length: int) -> Callable[[_Layer], Complexity]:
    def count(layer: _Layer) -> Complexity:
        # The 1 x k half shrinks the width alone, so it has `stride` times as many rows to compute.
        row_weights = layer.in_channels * layer.out_channels * length
        row = Complexity(row_weights, row_weights * layer.out_size * layer.in_size)
        return row + _conv_norm(layer.out_channels, layer.out_channels, layer.out_size, length)

    return count


def _separable_twice(kernel: int) -> Callable[[_Layer], Complexity]:
    return lambda layer: (
        _separable(layer.in_channels, layer, kernel) + _separable(layer.out_channels, layer, kernel)
    )


_OPS: dict[str, Callable[[_Layer], Complexity]] = {
    "identity": _identity,
    "conv_1x3_3x1": _factorized(3),
    "conv_1x7_7x1": _factorized(7),
    "dil_conv_3x3": lambda layer: _separable(layer.in_channels, layer, 3),
    "avg_pool_3x3": _pool,
    "max_pool_3x3": _pool,
    "max_pool_5x5": _pool,
    "max_pool_7x7": _pool,
    "conv_1x1": _plain(1),
    "conv_3x3": _plain(3),
    "sep_conv_3x3": _separable_twice(3),
    "sep_conv_5x5": _separable_twice(5),
    "sep_conv_7x7": _separable_twice(7),
}
