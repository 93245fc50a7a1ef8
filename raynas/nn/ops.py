"""The operations of a cell: one builder per name in genotype.OPERATIONS.

Order inside an operation: ReLU, convolution, batch norm (Zoph et al. 2018, A.4). Separable convolutions are
applied twice, the stride sits in the first, and nothing stands between depthwise and pointwise. Pools have
neither ReLU nor norm, but where the number of channels changes they are followed by a 1x1 convolution and
batch norm. An identity that must change stride or channels is ReLU, strided 1x1, batch norm. (slim
nasnet_utils.py)

The paper gives names only for the plain, factorised and dilated convolutions. Here they are as in
facebookresearch/ unnas: no bottleneck, nothing between the halves of a 1xk-kx1 pair, dilation 2 in a single
depthwise-separable layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class BatchNormConfig:
    """Constants of every batch norm in a network; momentum = 1 - TensorFlow's decay."""

    epsilon: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, eps=self.epsilon, momentum=self.momentum)


@dataclass(frozen=True, slots=True)
class OpShape:
    """What an operation must map between."""

    in_channels: int
    out_channels: int
    stride: int
    norm: BatchNormConfig


class FactorizedReduction(nn.Module):
    """Halves H x W by two 1x1 convolutions on grids one pixel apart, concatenated, then batch norm.

    At stride 1 it is a 1x1 convolution and batch norm. No ReLU inside. Any size: H x W become ceil(H/2) x
    ceil(W/2). Source: slim nasnet_utils.py, factorized_reduction.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: BatchNormConfig) -> None:
        super().__init__()
        self.stride = stride
        half = out_channels // 2 if stride == 2 else 0
        self.path_1 = conv(in_channels, half, 1) if half else None
        self.path_2 = conv(in_channels, out_channels - half, 1)
        self.norm = norm.build(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return self.norm(self.path_2(x))  # type: ignore[no-any-return]
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        paths = [self.path_2(shifted[:, :, ::2, ::2])]
        if self.path_1 is not None:
            paths.insert(0, self.path_1(x[:, :, ::2, ::2]))
        return self.norm(torch.cat(paths, dim=1))  # type: ignore[no-any-return]


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """Convolution without bias, padded so that stride 1 keeps H x W and stride 2 gives ceil(H/2)."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (height // 2), dilation * (width // 2))
    return nn.Conv2d(
        in_channels, out_channels, (height, width), stride, padding, dilation, groups, bias=False
    )


def relu_conv_norm(
    in_channels: int, out_channels: int, norm: BatchNormConfig, *, stride: int = 1
) -> nn.Sequential:
    """ReLU, 1x1 convolution, batch norm: how shapes are matched."""
    return nn.Sequential(
        nn.ReLU(), conv(in_channels, out_channels, 1, stride=stride), norm.build(out_channels)
    )


def build_op(name: str, shape: OpShape) -> nn.Module:
    """The operation called `name`, mapping (N, in_channels, H, W) to (N, out_channels, H/stride,
    W/stride).
    """
    return _BUILDERS[name](shape)


def _identity(shape: OpShape) -> nn.Module:
    if shape.stride == 1 and shape.in_channels == shape.out_channels:
        return nn.Identity()
    return relu_conv_norm(shape.in_channels, shape.out_channels, shape.norm, stride=shape.stride)


def _plain(kernel: int) -> Callable[[OpShape], nn.Module]:
    def build(shape: OpShape) -> nn.Module:
        layer = conv(shape.in_channels, shape.out_channels, kernel, stride=shape.stride)
        return nn.Sequential(nn.ReLU(), layer, shape.norm.build(shape.out_channels))

    return build


def _factorized(length: int) -> Callable[[OpShape], nn.Module]:
    def build(shape: OpShape) -> nn.Module:
        row = conv(shape.in_channels, shape.out_channels, (1, length), stride=(1, shape.stride))
        column = conv(shape.out_channels, shape.out_channels, (length, 1), stride=(shape.stride, 1))
        return nn.Sequential(nn.ReLU(), row, column, shape.norm.build(shape.out_channels))

    return build


def _separable_layer(
    in_channels: int, shape: OpShape, kernel: int, *, stride: int = 1, dilation: int = 1
) -> list[nn.Module]:
    depthwise = conv(in_channels, in_channels, kernel, stride=stride, dilation=dilation, groups=in_channels)
    pointwise = conv(in_channels, shape.out_channels, 1)
    return [nn.ReLU(), depthwise, pointwise, shape.norm.build(shape.out_channels)]


def _separable_twice(kernel: int) -> Callable[[OpShape], nn.Module]:
    def build(shape: OpShape) -> nn.Module:
        first = _separable_layer(shape.in_channels, shape, kernel, stride=shape.stride)
        return nn.Sequential(*first, *_separable_layer(shape.out_channels, shape, kernel))

    return build


def _dilated(kernel: int) -> Callable[[OpShape], nn.Module]:
    def build(shape: OpShape) -> nn.Module:
        return nn.Sequential(
            *_separable_layer(shape.in_channels, shape, kernel, stride=shape.stride, dilation=2)
        )

    return build


def _pool(pool: type[nn.MaxPool2d] | type[nn.AvgPool2d], kernel: int) -> Callable[[OpShape], nn.Module]:
    def build(shape: OpShape) -> nn.Module:
        # TensorFlow's SAME average divides by the number of valid pixels.
        options = {"count_include_pad": False} if pool is nn.AvgPool2d else {}
        layer: nn.Module = pool(kernel, stride=shape.stride, padding=kernel // 2, **options)
        if shape.in_channels == shape.out_channels:
            return layer
        return nn.Sequential(
            layer, conv(shape.in_channels, shape.out_channels, 1), shape.norm.build(shape.out_channels)
        )

    return build


_BUILDERS: dict[str, Callable[[OpShape], nn.Module]] = {
    "identity": _identity,
    "conv_1x3_3x1": _factorized(3),
    "conv_1x7_7x1": _factorized(7),
    "dil_conv_3x3": _dilated(3),
    "avg_pool_3x3": _pool(nn.AvgPool2d, 3),
    "max_pool_3x3": _pool(nn.MaxPool2d, 3),
    "max_pool_5x5": _pool(nn.MaxPool2d, 5),
    "max_pool_7x7": _pool(nn.MaxPool2d, 7),
    "conv_1x1": _plain(1),
    "conv_3x3": _plain(3),
    "sep_conv_3x3": _separable_twice(3),
    "sep_conv_5x5": _separable_twice(5),
    "sep_conv_7x7": _separable_twice(7),
}
