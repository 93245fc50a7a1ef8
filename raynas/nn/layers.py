"""The layers of networks as plain data: modules.py builds them, complexity.py counts them. No torch.

Every layer pads so that stride 1 keeps H x W and stride 2 gives ceil(H/2) x ceil(W/2), except a valid Conv.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch norm."""

    channels: int


@dataclass(frozen=True, slots=True)
class GroupNorm:
    """Group norm: with 1 group it is layer norm, with `channels` groups instance norm."""

    channels: int
    groups: int


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution without bias; kernel and stride are (height, width)."""

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1
    is_valid: bool = False
    """Whether there is no padding at all, as with TensorFlow's VALID."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Maximum or average over a square window; an average leaves the padding out."""

    kind: Literal["max", "avg"]
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class FactorizedReduction:
    """Stride 2 by two 1x1 convolutions on grids one pixel apart, concatenated, then batch norm.

    If the number of output channels is odd, the second has one more. There is no ReLU inside.
    Source: slim nasnet_utils.py, factorized_reduction.
    """

    in_channels: int
    out_channels: int


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeros of the output's shape, with a zero gradient: NAS-Bench-201's 'none'."""

    out_channels: int
    stride: int


Layer = Relu | Norm | GroupNorm | Conv | Pool | FactorizedReduction | Zero
Layers = tuple[Layer, ...]
"""Layers that are applied in order; an empty tuple is the identity."""


def out_size(layer: Layer, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a layer's output for an input of `size`."""
    if isinstance(layer, Conv):
        if layer.is_valid:
            pairs = zip(size, layer.kernel, layer.stride, strict=True)
            height, width = ((side - kernel) // stride + 1 for side, kernel, stride in pairs)
            return height, width
        strides = layer.stride
    elif isinstance(layer, Pool | Zero):
        strides = (layer.stride, layer.stride)
    elif isinstance(layer, FactorizedReduction):
        strides = (2, 2)
    else:
        return size
    # Rounded up: -(-a // b) is the ceiling of a / b in whole numbers.
    return -(-size[0] // strides[0]), -(-size[1] // strides[1])


def conv(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> Conv:
    """A convolution with a square kernel and equal strides."""
    return Conv(in_channels, out_channels, (kernel, kernel), (stride, stride))


def relu_conv_norm(in_channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1) -> Layers:
    """ReLU, convolution, batch norm: the order of Zoph et al. 2018, A.4."""
    return (Relu(), conv(in_channels, out_channels, kernel, stride=stride), Norm(out_channels))


def relu_factorized_reduction(in_channels: int, out_channels: int) -> Layers:
    """ReLU, then a factorised reduction, which halves height and width."""
    return (Relu(), FactorizedReduction(in_channels, out_channels))
