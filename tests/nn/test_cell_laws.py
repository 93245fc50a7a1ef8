"""Laws of every cell, alone: the shape that it gives out, and a gradient for each of its parameters."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raynas.cells.block import COMBINERS, OPERATIONS
from raynas.cells.genotype import Genotype
from raynas.nn import Conventions
from tests.nn.cell_shapes import FILTERS, cell_shapes, random_states, shape, shape_for
from tests.nn.small_networks import assert_finite_gradients, build_cell, cells, conventions, one_block


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("stride", [1, 2])
def test_every_operation_works_on_both_inputs(op, combiner, stride):
    place = shape(current_channels=3, previous_is_larger=True, stride=stride)
    cell = build_cell(one_block(op, op, combiner=combiner), place)
    size = math.ceil(5 / stride)
    assert cell(*random_states(place, 5)).shape == (3, FILTERS, size, size)


@settings(max_examples=100)
@given(genotype=cells(), place=cell_shapes(), family=conventions(), size=st.integers(1, 7))
def test_any_cell_gives_every_parameter_a_finite_gradient(genotype, place, family, size):
    place = shape_for(genotype, place)
    cell = build_cell(genotype, place, conventions=family, drop_path=0.1)
    # Of identities alone a cell has no parameters.
    out_NCHW = cell(*(state.requires_grad_() for state in random_states(place, size)))
    out_NCHW.square().mean().backward()
    out_size = math.ceil(size / place.stride)
    assert out_NCHW.shape == (3, cell.out_channels, out_size, out_size)
    assert cell.out_channels == len(genotype.concat) * place.filters
    assert_finite_gradients(cell)


@settings(max_examples=50)
@given(genotype=cells(max_blocks=5), place=cell_shapes(), family=conventions())
def test_every_state_that_a_cell_computes_has_the_same_shape(genotype, place, family):
    place = shape_for(genotype, place)
    cell = build_cell(genotype, place, conventions=family)
    shapes = []
    for block in cell.blocks.values():
        block.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:])))
    cell(*random_states(place, 5))
    size = math.ceil(5 / place.stride)
    assert set(shapes) == {(place.filters, size, size)}


@settings(max_examples=50)
@given(genotype=cells(max_blocks=5))
def test_a_block_that_is_in_a_cell_is_built(genotype):
    # The language refuses blocks that go nowhere.
    cell = build_cell(genotype, shape_for(genotype, shape()))
    assert [int(index) for index in cell.blocks] == list(range(len(genotype.blocks)))


@settings(max_examples=50)
@given(genotype=cells(), family=conventions())
def test_generated_cells_survive_their_own_writing(genotype, family):
    written = Genotype(genotype, genotype).to_json()
    assert Genotype.from_json(written) == Genotype(genotype, genotype)
    assert Conventions.model_validate_json(family.model_dump_json()) == family
