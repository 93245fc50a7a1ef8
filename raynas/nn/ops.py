"""The operations of a cell: the layers of each name in block.OPERATIONS. No torch.

The order in an operation is ReLU, convolution, batch norm (Zoph et al. 2018, A.4). Separable convolutions are
applied twice, the first has the stride, and nothing comes between depthwise and pointwise. Pools have neither
ReLU nor norm; if the number of channels changes, a 1x1 convolution and batch norm follow (slim
nasnet_utils.py).

For the plain, factorised and dilated convolutions the paper only gives names. Here they are as in
facebookresearch/unnas: no bottleneck, nothing between the halves of a 1xk-kx1 pair, and dilation 2 in a
single depthwise-separable layer. AmoebaNet's code puts its convolutions between two 1x1: bottleneck_*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from raynas.nn.layers import (
    Conv,
    FactorizedReduction,
    Layers,
    Norm,
    Pool,
    Relu,
    Zero,
    conv,
    relu_conv_norm,
    relu_factorized_reduction,
)


@dataclass(frozen=True, slots=True)
class OpShape:
    """The channels and the stride of an operation, and what replaces an identity of stride 2."""

    in_channels: int
    out_channels: int
    stride: int = 1
    strided_identity: str = "conv"


def op_layers(name: str, shape: OpShape) -> Layers:
    """Layers of the operation `name`: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
    return _LAYERS[name](shape)


def _identity(shape: OpShape) -> Layers:
    if shape.stride == 1 and shape.in_channels == shape.out_channels:
        return ()
    # With stride 1 only the number of channels differs, for which a 1x1 convolution serves whatever the
    # convention.
    if shape.stride == 1 or shape.strided_identity == "conv":
        return relu_conv_norm(shape.in_channels, shape.out_channels, stride=shape.stride)
    if shape.strided_identity == "relu_factorized":
        return relu_factorized_reduction(shape.in_channels, shape.out_channels)
    return (FactorizedReduction(shape.in_channels, shape.out_channels),)


def _plain(kernel: int) -> Callable[[OpShape], Layers]:
    return lambda shape: relu_conv_norm(
        shape.in_channels, shape.out_channels, kernel=kernel, stride=shape.stride
    )


def _pair(in_channels: int, out_channels: int, length: int, stride: int) -> tuple[Conv, Conv]:
    # Each of the two strides along the axis that it covers, so that neither skips pixels which it doesn't
    # look at.
    row = Conv(in_channels, out_channels, (1, length), (1, stride))
    return row, Conv(out_channels, out_channels, (length, 1), (stride, 1))


def _factorized(length: int) -> Callable[[OpShape], Layers]:
    def layers(shape: OpShape) -> Layers:
        pair = _pair(shape.in_channels, shape.out_channels, length, shape.stride)
        return (Relu(), *pair, Norm(shape.out_channels))

    return layers


def _bottleneck(inner: Callable[[OpShape], Layers]) -> Callable[[OpShape], Layers]:
    """ReLU-1x1-norm to a quarter of the filters, the convolution, ReLU-1x1-norm back.

    Source: tensorflow/tpu amoeba_net network_utils.py, _apply_operation.
    """

    def layers(shape: OpShape) -> Layers:
        narrow = shape.out_channels // 4
        # Fewer than four filters have no quarter, so the convolution stays as wide as it is.
        if narrow < 1:
            return inner(shape)
        return (
            *relu_conv_norm(shape.in_channels, narrow),
            # The convolution in the middle has the stride: the 1x1 before it sees the whole map.
            *inner(OpShape(narrow, narrow, shape.stride)),
            *relu_conv_norm(narrow, shape.out_channels),
        )

    return layers


def _normed_1x7_7x1(shape: OpShape) -> Layers:
    row, column = _pair(shape.in_channels, shape.out_channels, 7, shape.stride)
    return (Relu(), row, Norm(shape.out_channels), Relu(), column, Norm(shape.out_channels))


def _separable(in_channels: int, out_channels: int, kernel: int, *, stride: int, dilation: int = 1) -> Layers:
    depthwise = Conv(
        in_channels, in_channels, (kernel, kernel), (stride, stride), dilation, groups=in_channels
    )
    return (Relu(), depthwise, conv(in_channels, out_channels, 1), Norm(out_channels))


def _separable_twice(kernel: int) -> Callable[[OpShape], Layers]:
    def layers(shape: OpShape) -> Layers:
        # The first one changes the width, as in slim's stacked separable convolution.
        first = _separable(shape.in_channels, shape.out_channels, kernel, stride=shape.stride)
        return (*first, *_separable(shape.out_channels, shape.out_channels, kernel, stride=1))

    return layers


def _dilated(kernel: int) -> Callable[[OpShape], Layers]:
    return lambda shape: _separable(
        shape.in_channels, shape.out_channels, kernel, stride=shape.stride, dilation=2
    )


def _pool(kind: Literal["max", "avg"], kernel: int) -> Callable[[OpShape], Layers]:
    def layers(shape: OpShape) -> Layers:
        pool = Pool(kind, kernel, shape.stride)
        if shape.in_channels == shape.out_channels:
            return (pool,)
        return (pool, conv(shape.in_channels, shape.out_channels, 1), Norm(shape.out_channels))

    return layers


def _pooled_shortcut(shape: OpShape) -> Layers:
    # Without a norm, as in NAS-Bench-201's residual block (AutoDL-Projects cell_operations.py,
    # ResNetBasicblock).
    project = conv(shape.in_channels, shape.out_channels, 1)
    return (project,) if shape.stride == 1 else (Pool("avg", 2, shape.stride), project)


_LAYERS: dict[str, Callable[[OpShape], Layers]] = {
    "identity": _identity,
    "conv_1x3_3x1": _factorized(3),
    "conv_1x7_7x1": _factorized(7),
    "dil_conv_3x3": _dilated(3),
    "avg_pool_3x3": _pool("avg", 3),
    "max_pool_3x3": _pool("max", 3),
    "max_pool_5x5": _pool("max", 5),
    "max_pool_7x7": _pool("max", 7),
    "conv_1x1": _plain(1),
    "conv_3x3": _plain(3),
    "sep_conv_3x3": _separable_twice(3),
    "sep_conv_5x5": _separable_twice(5),
    "sep_conv_7x7": _separable_twice(7),
    "bottleneck_3x3": _bottleneck(_plain(3)),
    "bottleneck_1x7_7x1": _bottleneck(_normed_1x7_7x1),
    "max_pool_2x2": _pool("max", 2),
    "dil_conv_5x5": _dilated(5),
    "none": lambda shape: (Zero(shape.out_channels, shape.stride),),
    "avg_pool_2x2_conv_1x1": _pooled_shortcut,
}
