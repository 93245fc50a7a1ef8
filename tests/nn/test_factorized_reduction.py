"""The reduction that loses no pixel: two grids one pixel apart, half of the channels from each."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import pytest
import torch
from torch import nn

from raynas.nn import Conventions
from raynas.nn.modules import FactorizedReduction2d


def reduction_of_ones(out_channels: int = 2) -> FactorizedReduction2d:
    """All weights 1, and a batch norm that changes nothing."""
    module = FactorizedReduction2d(1, out_channels, Conventions(norm_epsilon=1e-12)).eval()
    for layer in convolutions(module):
        nn.init.ones_(layer.weight)
    return module


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def counting(size: int) -> torch.Tensor:
    """Pixels 1, 2, 3 .. row by row."""
    return torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)


@torch.no_grad()
def test_even_map_gives_two_grids():
    path_1_HW, path_2_HW = reduction_of_ones()(counting(4))[0]
    assert path_1_HW.tolist() == [[1, 3], [9, 11]]
    assert path_2_HW.tolist() == [[6, 8], [14, 16]]


@torch.no_grad()
def test_odd_map_reads_zero_beyond_the_border():
    path_1_HW, path_2_HW = reduction_of_ones()(counting(3))[0]
    assert path_1_HW.tolist() == [[1, 3], [7, 9]]
    assert path_2_HW.tolist() == [[5, 0], [0, 0]]


@torch.no_grad()
def test_sign_is_kept():
    assert reduction_of_ones()(-counting(2))[0].flatten().tolist() == [-1, -4]


@pytest.mark.parametrize(("out_channels", "halves"), [(27, (13, 14)), (5, (2, 3)), (4, (2, 2)), (2, (1, 1))])
def test_odd_channel_goes_to_the_second_path(out_channels, halves):
    module = reduction_of_ones(out_channels)
    assert tuple(layer.out_channels for layer in convolutions(module)) == halves
    assert module(counting(3)).shape == (1, out_channels, 2, 2)


@torch.no_grad()
def test_single_channel_is_the_second_path_alone():
    assert reduction_of_ones(1)(counting(2)).tolist() == [[[[4]]]]


def test_single_pixel_stays_one():
    assert reduction_of_ones(3)(counting(1)).shape == (1, 3, 1, 1)


def test_width_and_height_are_halved_apart():
    assert reduction_of_ones(3)(torch.rand(1, 1, 5, 8)).shape == (1, 3, 3, 4)
