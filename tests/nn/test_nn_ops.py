"""What each operation of a cell is made of, and the shapes it maps between."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from raynas.genotype import OPERATIONS
from raynas.nn.ops import BatchNormConfig, FactorizedReduction, OpShape, build_op
from tests.nn.small_networks import num_parameters

NORM = BatchNormConfig()
POOLS = [op for op in OPERATIONS if "pool" in op]
SEPARABLE = [op for op in OPERATIONS if op.startswith("sep_conv")]


def built(op: str, in_channels: int = 4, out_channels: int = 4, stride: int = 1) -> nn.Module:
    return build_op(op, OpShape(in_channels, out_channels, stride, NORM))


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_operation_gives_the_size_rounded_up(op, stride):
    for in_channels, size in itertools.product((3, 4), (1, 2, 7, 8)):
        out_NCHW = built(op, in_channels, 4, stride)(torch.rand(2, in_channels, size, size + 1))
        assert out_NCHW.shape == (2, 4, math.ceil(size / stride), math.ceil((size + 1) / stride))


def test_fitting_identity_is_nothing():
    assert isinstance(built("identity"), nn.Identity)


@pytest.mark.parametrize(("in_channels", "stride"), [(3, 1), (4, 2), (3, 2)])
def test_other_identity_is_relu_1x1_norm(in_channels, stride):
    layers = list(built("identity", in_channels, 4, stride))
    assert [type(layer) for layer in layers] == [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
    assert (layers[1].kernel_size, layers[1].stride) == ((1, 1), (stride, stride))


@pytest.mark.parametrize("op", POOLS)
@pytest.mark.parametrize("stride", [1, 2])
def test_pool_has_no_parameters_where_channels_agree(op, stride):
    assert num_parameters(built(op, stride=stride)) == 0


@pytest.mark.parametrize("op", POOLS)
def test_pool_is_followed_by_1x1_and_norm_where_channels_differ(op):
    layers = list(built(op, in_channels=3))
    assert [type(layer) for layer in layers[1:]] == [nn.Conv2d, nn.BatchNorm2d]
    assert num_parameters(built(op, in_channels=3)) == 3 * 4 + 2 * 4


@pytest.mark.parametrize("stride", [1, 2])
def test_average_pool_divides_by_the_pixels_that_are_there(stride):
    ones_NCHW = torch.ones(1, 4, 5, 6)
    assert torch.equal(built("avg_pool_3x3", stride=stride)(ones_NCHW).unique(), torch.ones(1))


@pytest.mark.parametrize(("op", "kernel"), [("max_pool_3x3", 3), ("max_pool_5x5", 5), ("max_pool_7x7", 7)])
def test_max_pool_never_takes_the_padding(op, kernel):
    negative_NCHW = -torch.rand(1, 4, 9, 9) - 1
    out_NCHW = built(op)(negative_NCHW)
    reach = kernel // 2
    assert torch.equal(out_NCHW[0, 0, 0, 0], negative_NCHW[0, 0, : reach + 1, : reach + 1].max())
    assert torch.equal(
        out_NCHW[0, 0, 4, 4], negative_NCHW[0, 0, 4 - reach : 5 + reach, 4 - reach : 5 + reach].max()
    )


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
    assert [type(layer) for layer in built(op)] == once + once


def test_dilated_convolution_is_one_depthwise_separable_layer():
    depthwise, pointwise = convolutions(built("dil_conv_3x3"))
    assert (depthwise.groups, depthwise.dilation, pointwise.kernel_size) == (4, (2, 2), (1, 1))


@pytest.mark.parametrize("length", [3, 7])
def test_factorised_convolution_halves_width_then_height(length):
    row, column = convolutions(built(f"conv_1x{length}_{length}x1", stride=2))
    assert (row.kernel_size, row.stride) == ((1, length), (1, 2))
    assert (column.kernel_size, column.stride) == ((length, 1), (2, 1))


def test_no_convolution_has_a_bias():
    layers = [layer for op in OPERATIONS for layer in convolutions(built(op, 3, 4, 2))]
    assert layers
    assert all(layer.bias is None for layer in layers)


def test_norm_constants_reach_every_batch_norm():
    shape = OpShape(3, 4, 2, BatchNormConfig(epsilon=0.25, momentum=0.5))
    norms = [m for op in OPERATIONS for m in build_op(op, shape).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.25, 0.5)}


def reduction_of_ones(out_channels: int = 2, stride: int = 2) -> FactorizedReduction:
    """All weights 1, and a batch norm that changes nothing."""
    module = FactorizedReduction(1, out_channels, stride, BatchNormConfig(epsilon=1e-12)).eval()
    for layer in convolutions(module):
        nn.init.ones_(layer.weight)
    return module


def counting(size: int) -> torch.Tensor:
    """Pixels 1, 2, 3 .. row by row."""
    return torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)


@torch.no_grad()
def test_factorised_reduction_takes_two_grids_of_an_even_map():
    path_1_HW, path_2_HW = reduction_of_ones()(counting(4))[0]
    assert path_1_HW.tolist() == [[1, 3], [9, 11]]
    assert path_2_HW.tolist() == [[6, 8], [14, 16]]


@torch.no_grad()
def test_factorised_reduction_reads_zero_beyond_the_border_of_an_odd_map():
    path_1_HW, path_2_HW = reduction_of_ones()(counting(3))[0]
    assert path_1_HW.tolist() == [[1, 3], [7, 9]]
    assert path_2_HW.tolist() == [[5, 0], [0, 0]]


@torch.no_grad()
def test_factorised_reduction_keeps_the_sign():
    assert reduction_of_ones()(-counting(2))[0].flatten().tolist() == [-1, -4]


@pytest.mark.parametrize(("out_channels", "halves"), [(5, (2, 3)), (4, (2, 2)), (2, (1, 1))])
def test_odd_channel_goes_to_the_second_path(out_channels, halves):
    module = reduction_of_ones(out_channels)
    assert tuple(layer.out_channels for layer in convolutions(module)) == halves
    assert module(counting(3)).shape == (1, out_channels, 2, 2)


def test_single_channel_is_the_second_path_alone():
    assert reduction_of_ones(1)(counting(2)).tolist() == [[[[4]]]]


def test_factorised_reduction_at_stride_1_is_one_1x1():
    module = reduction_of_ones(3, stride=1)
    (layer,) = convolutions(module)
    assert (layer.kernel_size, layer.out_channels) == ((1, 1), 3)
    assert module(counting(3)).shape == (1, 3, 3, 3)
