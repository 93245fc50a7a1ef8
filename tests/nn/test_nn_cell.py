"""The one module that executes any cell: what its states are, and how inputs are made to fit."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from raynas.cells.block import OPERATIONS, Block
from raynas.cells.genotype import CellGenotype
from raynas.nn import Conventions
from raynas.nn.cell_plan import plan_cell
from raynas.nn.drop_path import DropPath
from raynas.nn.modules import FactorizedReduction2d, StridedPointwiseConv2d
from tests.nn.cell_shapes import FILTERS, first_shape, random_states, shape
from tests.nn.small_networks import build_cell, one_block, torch_types

RELU_1X1_NORM = [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
ALWAYS = Conventions(match_previous="always")


def types(module: Any) -> list[type]:
    return torch_types(module.children())


def test_state_1_is_the_previous_input_as_it_comes():
    current, previous = random_states(shape())
    cell = build_cell(one_block("identity", "identity", input_a=1, input_b=1), shape())
    assert torch.equal(cell(current, previous), 2 * previous)


def test_state_0_is_the_current_input_matched():
    current, previous = random_states(shape())
    cell = build_cell(one_block("identity", "identity", input_a=0, input_b=0), shape()).eval()
    assert types(cell.match["0"]) == RELU_1X1_NORM
    assert torch.equal(cell(current, previous), 2 * cell.match["0"](current))
    assert not torch.equal(cell(current, previous), cell(previous, current))


def test_state_2_is_the_first_block():
    blocks = (Block(1, "identity", 1, "identity"), Block(2, "identity", 1, "identity"))
    current, previous = random_states(shape())
    assert torch.equal(build_cell(CellGenotype(blocks, (3,)), shape())(current, previous), 3 * previous)


def test_output_is_the_listed_states_in_order():
    blocks = (Block(1, "identity", 1, "identity"), Block(2, "identity", 1, "identity"))
    current, previous = random_states(shape())
    out_NCHW = build_cell(CellGenotype(blocks, (1, 2, 3)), shape())(current, previous)
    assert torch.equal(out_NCHW, torch.cat([previous, 2 * previous, 3 * previous], dim=1))


def test_an_input_that_nobody_uses_is_not_matched():
    cell = build_cell(one_block("conv_3x3", "identity", input_a=1), shape(previous_channels=3))
    assert cell.plan.inputs == (1,)
    assert list(cell.match) == ["1"]


def test_an_input_that_is_only_given_out_is_matched():
    genotype = CellGenotype((Block(1, "conv_3x3", 1, "identity"),), (0, 2))
    assert list(build_cell(genotype, shape()).match) == ["0", "1"]


def test_first_cell_takes_the_stems_output_as_it_comes_for_the_previous():
    cell = build_cell(one_block("identity", "avg_pool_3x3", input_a=1), first_shape())
    assert isinstance(cell.match["1"], nn.Identity)
    assert types(cell.blocks["0"].op_a) == RELU_1X1_NORM


@pytest.mark.parametrize("conventions", [Conventions(), ALWAYS])
def test_larger_previous_state_passes_relu_and_a_factorised_reduction(conventions):
    cell = build_cell(
        one_block("identity", "identity"), shape(previous_is_larger=True), conventions=conventions
    )
    assert types(cell.match["1"]) == [nn.ReLU, FactorizedReduction2d]


def test_previous_state_of_other_width_passes_relu_1x1_norm():
    cell = build_cell(one_block("identity", "identity"), shape(previous_channels=3))
    assert types(cell.match["1"]) == RELU_1X1_NORM


@pytest.mark.parametrize("place", [shape(), shape(previous_channels=3), first_shape()])
def test_previous_state_is_always_matched_where_the_convention_says_so(place):
    cell = build_cell(one_block("identity", "identity"), place, conventions=ALWAYS)
    assert types(cell.match["1"]) == RELU_1X1_NORM
    assert isinstance(cell.blocks["0"].op_b, nn.Identity)


@pytest.mark.parametrize("stride", [1, 2])
def test_stride_goes_to_the_operations_on_the_cells_inputs_alone(stride):
    blocks = (Block(0, "conv_3x3", 1, "conv_3x3"), Block(2, "conv_3x3", 0, "conv_3x3"))
    cell = build_cell(CellGenotype(blocks, (3,)), shape(stride=stride))
    first, second = cell.blocks.values()
    halves = [first.op_a, first.op_b, second.op_a, second.op_b]
    assert [half[1].stride[0] for half in halves] == [stride, stride, 1, stride]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("conv", [nn.ReLU, StridedPointwiseConv2d, nn.BatchNorm2d]),
        ("relu_factorized", [nn.ReLU, FactorizedReduction2d]),
        ("factorized", [FactorizedReduction2d]),
    ],
)
def test_strided_identity_follows_the_convention(variant, expected):
    conventions = Conventions(strided_identity=variant)
    cell = build_cell(one_block("identity", "identity"), shape(stride=2), conventions=conventions)
    assert types(cell.blocks["0"].op_a) == types(cell.blocks["0"].op_b) == expected


def test_inputs_in_concat_are_fixed_up_without_relu_where_they_do_not_fit():
    genotype = CellGenotype((Block(0, "identity", 1, "identity"),), (0, 1, 2))
    reduction = build_cell(genotype, shape(stride=2))
    assert {state: type(module[0]) for state, module in reduction.fix_up.items()} == {
        "0": FactorizedReduction2d,
        "1": FactorizedReduction2d,
    }
    assert not build_cell(genotype, shape()).fix_up
    first = build_cell(genotype, first_shape())
    assert {state: types(module) for state, module in first.fix_up.items()} == {
        "1": [nn.Conv2d, nn.BatchNorm2d]
    }
    assert first.fix_up["1"][0].kernel_size == (1, 1)


def test_fix_up_is_for_the_output_and_not_for_the_blocks():
    genotype = CellGenotype((Block(1, "identity", 1, "identity"),), (1, 2))
    cell = build_cell(genotype, shape(stride=2)).eval()
    current, previous = random_states(shape(stride=2))
    out_NCHW = cell(current, previous)
    assert torch.equal(out_NCHW[:, :FILTERS], cell.fix_up["1"](previous))
    block = cell.blocks["0"]
    assert torch.equal(out_NCHW[:, FILTERS:], block.op_a(previous) + block.op_b(previous))


def test_concat_combiner_comes_back_to_the_cells_filters():
    cell = build_cell(one_block("identity", "identity", input_a=1, combiner="concat"), shape()).eval()
    current, previous = random_states(shape())
    out_NCHW = cell(current, previous)
    assert out_NCHW.shape[1] == FILTERS == cell.out_channels
    assert types(cell.blocks["0"].merge) == RELU_1X1_NORM
    assert torch.equal(out_NCHW, cell.blocks["0"].merge(torch.cat([previous, previous], dim=1)))


@pytest.mark.parametrize(("combiner", "dims"), [("add_layer_norm", (1, 2, 3)), ("add_instance_norm", (2, 3))])
def test_norm_combiners_normalise_the_sum_of_each_example(combiner, dims):
    cell = build_cell(one_block("identity", "identity", input_a=1, input_b=1, combiner=combiner), shape())
    current, previous = random_states(shape())
    mean = previous.mean(dim=dims, keepdim=True)
    variance = previous.var(dim=dims, keepdim=True, correction=0)
    # A sum of two equal states: epsilon is added to four times the variance.
    expected = 2 * (previous - mean) / (4 * variance + Conventions().norm_epsilon).sqrt()
    torch.testing.assert_close(cell(current, previous), expected)
    assert {parameter.numel() for parameter in cell.blocks["0"].merge.parameters()} == {FILTERS}


@pytest.mark.parametrize("combiner", ["add_layer_norm", "add_instance_norm"])
@pytest.mark.parametrize("filters", [1, FILTERS])
@pytest.mark.parametrize("num_images", [1, 3])
@torch.no_grad()
def test_norm_combiners_take_maps_of_one_pixel(combiner, filters, num_images):
    place = shape(filters=filters, stride=2)
    cell = build_cell(one_block("conv_3x3", "max_pool_3x3", combiner=combiner), place).eval()
    out_NCHW = cell(*random_states(place, 1, num_images=num_images))
    assert out_NCHW.shape == (num_images, filters, 1, 1)
    assert out_NCHW.isfinite().all()


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op not in ("identity", "none")])
@pytest.mark.parametrize("stride", [1, 2])
def test_paths_can_be_dropped(op, stride):
    block = build_cell(one_block(op, op), shape(stride=stride), drop_path=0.3).blocks["0"]
    assert [half[-1].probability for half in (block.op_a, block.op_b)] == [0.3, 0.3]


@pytest.mark.parametrize("op", ["identity", "none"])
@pytest.mark.parametrize("place", [shape(), shape(stride=2), first_shape()])
def test_identities_and_missing_edges_are_never_dropped(op, place):
    cell = build_cell(one_block(op, op), place, drop_path=0.3)
    assert not any(isinstance(module, DropPath) for module in cell.modules())


def test_no_drop_path_is_built_at_probability_0():
    cell = build_cell(one_block("conv_3x3", "max_pool_3x3"), shape(), drop_path=0.0)
    assert not any(isinstance(module, DropPath) for module in cell.modules())


def test_equal_places_share_one_plan():
    genotype = one_block("conv_3x3", "identity")
    assert plan_cell(genotype, shape(), Conventions()) is plan_cell(genotype, shape(), Conventions())
    assert plan_cell(genotype, shape(), Conventions()) != plan_cell(genotype, shape(stride=2), Conventions())
