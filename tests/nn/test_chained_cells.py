"""Cells whose inputs are the outputs of the one cell before, one by one."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.nn import Conventions, NetworkConfig
from raynas.nn.cell_plan import plan_cell
from raynas.nn.plan import plan_network
from tests.nn.cell_shapes import FILTERS, random_states, shape
from tests.nn.small_networks import assert_finite_gradients, build_cell, cells, small_network

# Each output is one input, doubled; in another order.
DOUBLED = CellGenotype(
    tuple(Block(state, "identity", state, "identity") for state in range(3)), (5, 3, 4), num_inputs=3
)
# What the second input becomes is all that the next cell does not use.
IGNORES_ONE = CellGenotype(
    (Block(0, "conv_3x3", 2, "conv_3x3"), Block(1, "conv_3x3", 1, "identity")), (3, 4, 2), num_inputs=3
)
USES_TWO = CellGenotype((Block(0, "conv_1x1", 2, "conv_3x3"),), (3, 0, 2), num_inputs=3)


def three_states() -> torch.Tensor:
    """A current state that holds three."""
    return random_states(shape(current_channels=3 * FILTERS))[0]


def test_input_k_is_the_k_th_state_that_comes_in_unmatched():
    cell = build_cell(DOUBLED, shape(current_channels=3 * FILTERS))
    current = three_states()
    first, second, third = current.chunk(3, dim=1)
    out_NCHW = cell(current, current)
    assert all(isinstance(match, nn.Identity) for match in cell.match.values())
    assert torch.equal(out_NCHW, 2 * torch.cat([third, first, second], dim=1))


def test_first_cell_takes_the_stems_output_for_every_input():
    stem = random_states(shape())[0]
    cell = build_cell(DOUBLED, shape(is_first=True))
    assert torch.equal(cell(stem, stem), 2 * torch.cat([stem] * 3, dim=1))


def test_operations_on_the_inputs_change_the_width():
    cell = build_cell(USES_TWO, shape(current_channels=2 * 3))
    assert [conv.in_channels for conv in (cell.blocks["0"].op_a[1], cell.blocks["0"].op_b[1])] == [3, 3]
    # The two inputs that are handed on become as wide without a ReLU.
    assert {state: type(fix_up[0]) for state, fix_up in cell.fix_up.items()} == {
        "0": nn.Conv2d,
        "2": nn.Conv2d,
    }


def test_cell_takes_and_gives_out_only_what_is_used():
    plan = plan_cell(USES_TWO, shape(current_channels=2 * FILTERS), Conventions())
    assert plan.inputs == (0, 2)
    plan = plan_cell(IGNORES_ONE, shape(current_channels=2 * FILTERS), Conventions(), outputs=(3, 2))
    assert plan.inputs == (0, 2)
    assert [state for state, _ in plan.blocks] == [3]
    assert plan.out_channels == 2 * FILTERS


def test_each_cell_of_a_network_gives_out_what_the_next_one_takes():
    config = NetworkConfig(cells_per_stack=2, filters=FILTERS, num_reductions=1)
    plan = plan_network(Genotype(USES_TWO, IGNORES_ONE), config, in_channels=3)
    first, before, reduction, after, last = (cell.plan for cell in plan.cells)
    assert (first.outputs, before.inputs) == ((3, 2), (0, 2))
    # The reduction's second input is all that its state 4 is made of, and the cell after it takes 3 and 2.
    assert (before.outputs, reduction.inputs, reduction.outputs) == ((3, 2), (0, 2), (3, 2))
    assert (after.outputs, last.outputs) == ((3, 2), (3, 0, 2))
    assert plan.num_features == 3 * FILTERS * 2


def test_what_no_later_cell_takes_has_no_parameters():
    network = small_network(Genotype(USES_TWO, IGNORES_ONE), cells_per_stack=2)
    network.train()(torch.randn(3, 1, 8, 8)).square().sum().backward()
    assert_finite_gradients(network)


@settings(max_examples=25)
@given(
    pair=st.sampled_from([1, 3, 4]).flatmap(
        lambda num_inputs: st.builds(Genotype, cells(3, num_inputs), cells(3, num_inputs))
    ),
    stem=st.sampled_from(["small_image", "darts_imagenet", "imagenet"]),
    cells_per_stack=st.integers(1, 2),
)
def test_every_parameter_of_any_chained_network_has_a_finite_gradient(pair, stem, cells_per_stack):
    network = small_network(
        pair, image_size=16, stem=stem, cells_per_stack=cells_per_stack, auxiliary_head=True
    ).train()
    logits_NK, auxiliary_NK = network(torch.randn(3, 1, 16, 16))
    (logits_NK.square().sum() + auxiliary_NK.square().sum()).backward()
    assert_finite_gradients(network)


@pytest.mark.parametrize("num_inputs", [1, 3, 4])
def test_cells_that_hand_their_inputs_on_make_a_network(num_inputs):
    # Of four inputs, three go straight through.
    outputs = (*range(num_inputs - 1), num_inputs)
    cell = CellGenotype((Block(0, "conv_3x3", num_inputs - 1, "identity"),), outputs, num_inputs)
    network = small_network(Genotype(cell, cell), cells_per_stack=2).train()
    assert network.num_features == 2 * FILTERS * num_inputs
    network(torch.randn(3, 1, 8, 8)).square().sum().backward()
    assert_finite_gradients(network)
