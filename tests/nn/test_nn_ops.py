"""What each operation of a cell is made of, and the shapes it maps between."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from raynas.cells.block import OPERATIONS
from raynas.nn import Conventions
from raynas.nn.layers import out_size
from raynas.nn.modules import (
    FactorizedReduction2d,
    SamePool2d,
    StridedPointwiseConv2d,
    build_layers,
)
from raynas.nn.ops import OpShape, op_layers
from tests.nn.small_networks import num_parameters, torch_types

POOLS = [op for op in OPERATIONS if op.startswith(("max_pool", "avg_pool_3x3"))]
SEPARABLE = [op for op in OPERATIONS if op.startswith("sep_conv")]
ONCE = [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
PADDINGS = ["symmetric", "same", "timm"]


def built(
    op: str,
    in_channels: int = 4,
    out_channels: int = 4,
    stride: int = 1,
    *,
    strided_identity: str = "conv",
    **fields: object,
) -> nn.Module:
    shape = OpShape(in_channels, out_channels, stride, strided_identity)
    return build_layers(op_layers(op, shape), Conventions(**fields))


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def types(module: nn.Module) -> list[type]:
    return torch_types(module.children())


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", PADDINGS)
def test_operation_gives_the_size_rounded_up(op, stride, padding):
    for in_channels, size in itertools.product((3, 4), (1, 2, 7, 8)):
        module = built(op, in_channels, 4, stride, padding=padding)
        out_NCHW = module(torch.rand(2, in_channels, size, size + 1))
        assert out_NCHW.shape == (2, 4, math.ceil(size / stride), math.ceil((size + 1) / stride))


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_each_layer_gives_the_size_that_it_says(op, stride):
    layers = op_layers(op, OpShape(3, 5, stride))
    x_NCHW = torch.rand(2, 3, 7, 4)
    for layer in layers:
        height, width = x_NCHW.shape[2:]
        expected = out_size(layer, (height, width))
        x_NCHW = build_layers((layer,), Conventions())(x_NCHW)
        assert x_NCHW.shape[2:] == expected
    assert x_NCHW.shape[1] == 5


def test_fitting_identity_is_nothing():
    assert isinstance(built("identity"), nn.Identity)


@pytest.mark.parametrize(("in_channels", "stride"), [(3, 1), (4, 2), (3, 2)])
def test_other_identity_is_relu_1x1_norm(in_channels, stride):
    module = built("identity", in_channels, 4, stride)
    convolution = nn.Conv2d if stride == 1 else StridedPointwiseConv2d
    assert types(module) == [nn.ReLU, convolution, nn.BatchNorm2d]
    assert (module[1].kernel_size, module[1].stride) == ((1, 1), (stride, stride))


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("relu_factorized", [nn.ReLU, FactorizedReduction2d]), ("factorized", [FactorizedReduction2d])],
)
@pytest.mark.parametrize("in_channels", [3, 4])
def test_strided_identity_can_be_a_factorised_reduction(variant, expected, in_channels):
    assert types(built("identity", in_channels, 4, stride=2, strided_identity=variant)) == expected


@pytest.mark.parametrize("variant", ["relu_factorized", "factorized"])
def test_identity_of_stride_1_is_the_same_in_every_convention(variant):
    assert isinstance(built("identity", strided_identity=variant), nn.Identity)
    assert types(built("identity", 3, 4, strided_identity=variant)) == ONCE


@pytest.mark.parametrize("op", POOLS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", PADDINGS)
def test_pool_has_no_parameters_where_channels_agree(op, stride, padding):
    assert num_parameters(built(op, stride=stride, padding=padding)) == 0


@pytest.mark.parametrize("op", POOLS)
def test_pool_is_followed_by_1x1_and_norm_where_channels_differ(op):
    module = built(op, in_channels=3)
    assert types(module)[1:] == [nn.Conv2d, nn.BatchNorm2d]
    assert num_parameters(module) == 3 * 4 + 2 * 4


@pytest.mark.parametrize(("op", "kernel"), [("max_pool_3x3", 3), ("max_pool_5x5", 5), ("max_pool_7x7", 7)])
def test_max_pool_never_takes_the_padding(op, kernel):
    negative_NCHW = -torch.rand(1, 4, 9, 9) - 1
    out_NCHW = built(op)(negative_NCHW)
    reach = kernel // 2
    assert torch.equal(out_NCHW[0, 0, 0, 0], negative_NCHW[0, 0, : reach + 1, : reach + 1].max())
    assert torch.equal(
        out_NCHW[0, 0, 4, 4], negative_NCHW[0, 0, 4 - reach : 5 + reach, 4 - reach : 5 + reach].max()
    )


@pytest.mark.parametrize("padding", PADDINGS)
def test_pool_of_even_kernel_looks_right_and_down(padding):
    image_NCHW = torch.arange(9.0).reshape(1, 1, 3, 3)
    out_HW = built("max_pool_2x2", 1, 1, padding=padding)(image_NCHW)[0, 0]
    assert out_HW.tolist() == [[4, 5, 5], [7, 8, 8], [7, 8, 8]]


@pytest.mark.parametrize("op", SEPARABLE)
def test_separable_convolution_is_applied_twice_with_the_stride_in_the_first(op):
    kernel = int(op[-1])
    depthwise_1, pointwise_1, depthwise_2, pointwise_2 = convolutions(built(op, 3, 4, stride=2))
    assert [layer.groups for layer in (depthwise_1, pointwise_1, depthwise_2, pointwise_2)] == [3, 1, 4, 1]
    assert depthwise_1.kernel_size == depthwise_2.kernel_size == (kernel, kernel)
    assert (depthwise_1.stride, depthwise_2.stride) == ((2, 2), (1, 1))
    assert pointwise_1.stride == pointwise_2.stride == (1, 1)


@pytest.mark.parametrize("op", SEPARABLE)
def test_nothing_stands_between_depthwise_and_pointwise(op):
    once = [nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]
    assert types(built(op)) == once + once


@pytest.mark.parametrize("kernel", [3, 5])
def test_dilated_convolution_is_one_depthwise_separable_layer(kernel):
    module = built(f"dil_conv_{kernel}x{kernel}")
    depthwise, pointwise = convolutions(module)
    assert types(module) == [nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]
    assert (depthwise.groups, depthwise.kernel_size, depthwise.dilation) == (4, (kernel, kernel), (2, 2))
    assert pointwise.kernel_size == (1, 1)


@pytest.mark.parametrize("length", [3, 7])
def test_factorised_convolution_halves_width_then_height(length):
    module = built(f"conv_1x{length}_{length}x1", stride=2)
    row, column = convolutions(module)
    assert types(module) == [nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]
    assert (row.kernel_size, row.stride) == ((1, length), (1, 2))
    assert (column.kernel_size, column.stride) == ((length, 1), (2, 1))


@pytest.mark.parametrize("filters", [4, 5, 8, 13])
def test_bottleneck_stands_between_two_1x1_at_a_quarter_of_the_filters(filters):
    module = built("bottleneck_3x3", 3, filters, stride=2)
    assert types(module) == ONCE * 3
    channels = [(layer.in_channels, layer.out_channels) for layer in convolutions(module)]
    quarter = filters // 4
    assert channels == [(3, quarter), (quarter, quarter), (quarter, filters)]
    assert [layer.stride for layer in convolutions(module)] == [(1, 1), (2, 2), (1, 1)]


def test_halves_of_a_bottlenecked_factorised_convolution_have_a_norm_and_a_relu_between_them():
    module = built("bottleneck_1x7_7x1", 8, 8, stride=2)
    assert types(module) == ONCE * 4
    assert [layer.kernel_size for layer in convolutions(module)] == [(1, 1), (1, 7), (7, 1), (1, 1)]
    assert [layer.stride for layer in convolutions(module)] == [(1, 1), (1, 2), (2, 1), (1, 1)]


@pytest.mark.parametrize("op", ["bottleneck_3x3", "bottleneck_1x7_7x1"])
@pytest.mark.parametrize("filters", [1, 2, 3])
def test_fewer_than_4_filters_are_not_bottlenecked(op, filters):
    module = built(op, 5, filters, stride=2)
    assert all(layer.out_channels == filters for layer in convolutions(module))
    assert all(layer.kernel_size != (1, 1) for layer in convolutions(module))
    assert module(torch.rand(2, 5, 3, 3)).shape == (2, filters, 2, 2)


@pytest.mark.parametrize("stride", [1, 2])
def test_none_is_zero_with_a_gradient_of_zeros(stride):
    x_NCHW = torch.rand(2, 3, 5, 4, requires_grad=True)
    out_NCHW = built("none", 3, 4, stride)(x_NCHW)
    assert out_NCHW.shape == (2, 4, math.ceil(5 / stride), math.ceil(4 / stride))
    assert not out_NCHW.any()
    out_NCHW.sum().backward()
    assert x_NCHW.grad is not None and not x_NCHW.grad.any()


def test_pooled_shortcut_is_an_average_over_2x2_and_a_1x1_without_norm():
    module = built("avg_pool_2x2_conv_1x1", 3, 4, stride=2)
    assert types(module) == [SamePool2d, nn.Conv2d]
    assert types(built("avg_pool_2x2_conv_1x1", 3, 4)) == [nn.Conv2d]
    image_NCHW = torch.arange(16.0).reshape(1, 1, 4, 4)
    pooled_HW = built("avg_pool_2x2_conv_1x1", 1, 1, stride=2)[0](image_NCHW)[0, 0]
    assert pooled_HW.tolist() == [[2.5, 4.5], [10.5, 12.5]]


@pytest.mark.parametrize("padding", PADDINGS)
def test_no_convolution_has_a_bias(padding):
    layers = [layer for op in OPERATIONS for layer in convolutions(built(op, 3, 4, 2, padding=padding))]
    assert layers
    assert all(layer.bias is None for layer in layers)


def test_norm_constants_reach_every_batch_norm():
    constants = {"norm_epsilon": 0.25, "norm_momentum": 0.5}
    norms = [
        module
        for op in OPERATIONS
        for module in built(op, 3, 4, 2, strided_identity="factorized", **constants).modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.25, 0.5)}
