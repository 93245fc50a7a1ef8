"""The one module that executes any cell."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from raynas.genotype import COMBINERS, OPERATIONS, Block, CellGenotype
from raynas.nn import Cell
from raynas.nn.cell import CellShape
from raynas.nn.drop_path import DropPath
from raynas.nn.ops import FactorizedReduction
from tests.nn.small_networks import cells, one_block

FILTERS = 4


def shape(**changes: int | bool) -> CellShape:
    """Both inputs fit; `changes` say where not."""
    return CellShape(
        **{"current_channels": FILTERS, "previous_channels": FILTERS, "filters": FILTERS, **changes}
    )


def random_states(cell_shape: CellShape, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    current = torch.randn(3, cell_shape.current_channels, size, size)
    if cell_shape.previous_is_current:
        return current, current
    previous_size = 2 * size - 1 if cell_shape.previous_is_larger else size
    return current, torch.randn(3, cell_shape.previous_channels, previous_size, previous_size)


@st.composite
def cell_shapes(draw: st.DrawFn) -> CellShape:
    channels = st.sampled_from([FILTERS, 3])
    is_first = draw(st.booleans())
    current = draw(channels)
    return CellShape(
        current,
        current if is_first else draw(channels),
        FILTERS,
        stride=draw(st.sampled_from([1, 2])),
        previous_is_larger=not is_first and draw(st.booleans()),
        previous_is_current=is_first,
    )


def test_state_1_is_the_previous_input_as_it_comes():
    current, previous = random_states(shape())
    cell = Cell(one_block("identity", "identity", input_a=1, input_b=1), shape())
    assert torch.equal(cell(current, previous), 2 * previous)


def test_state_0_is_the_current_input_matched():
    current, previous = random_states(shape())
    cell = Cell(one_block("identity", "identity", input_a=0, input_b=0), shape()).eval()
    assert torch.equal(cell(current, previous), 2 * cell.match_current(current))
    assert not torch.equal(cell(current, previous), cell(previous, current))


def test_state_2_is_the_first_block():
    blocks = (Block(1, "identity", 1, "identity"), Block(2, "identity", 1, "identity"))
    current, previous = random_states(shape())
    assert torch.equal(Cell(CellGenotype(blocks, (3,)), shape())(current, previous), 3 * previous)


def test_output_is_the_listed_states_in_order():
    blocks = (Block(1, "identity", 1, "identity"), Block(2, "identity", 1, "identity"))
    current, previous = random_states(shape())
    out_NCHW = Cell(CellGenotype(blocks, (1, 2, 3)), shape())(current, previous)
    assert torch.equal(out_NCHW, torch.cat([previous, 2 * previous, 3 * previous], dim=1))


def test_first_cell_takes_the_current_input_in_place_of_the_previous():
    first = shape(current_channels=3, previous_channels=3, previous_is_current=True)
    cell = Cell(one_block("identity", "avg_pool_3x3", input_a=1, input_b=1), first)
    assert isinstance(cell.match_previous, nn.Identity)
    assert [type(layer) for layer in cell.blocks[0].op_a] == [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]


def test_larger_previous_state_passes_relu_and_a_factorised_reduction():
    cell = Cell(one_block("identity", "identity"), shape(previous_is_larger=True))
    assert [type(layer) for layer in cell.match_previous] == [nn.ReLU, FactorizedReduction]


def test_previous_state_of_other_width_passes_relu_1x1_norm():
    cell = Cell(one_block("identity", "identity"), shape(previous_channels=3))
    assert [type(layer) for layer in cell.match_previous] == [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]


@pytest.mark.parametrize("stride", [1, 2])
def test_stride_goes_to_the_operations_on_the_cells_inputs_alone(stride):
    blocks = (Block(0, "conv_3x3", 1, "conv_3x3"), Block(2, "conv_3x3", 0, "conv_3x3"))
    first, second = Cell(CellGenotype(blocks, (3,)), shape(stride=stride)).blocks
    halves = [first.op_a, first.op_b, second.op_a, second.op_b]
    assert [half[1].stride[0] for half in halves] == [stride, stride, 1, stride]


def test_inputs_in_concat_are_fixed_up_without_relu_where_they_do_not_fit():
    genotype = CellGenotype((Block(0, "identity", 1, "identity"),), (0, 1, 2))
    assert set(Cell(genotype, shape(stride=2)).match_concat) == {"0", "1"}
    assert not Cell(genotype, shape()).match_concat
    first = shape(current_channels=3, previous_channels=3, previous_is_current=True)
    assert set(Cell(genotype, first).match_concat) == {"1"}
    assert not any(isinstance(m, nn.ReLU) for m in Cell(genotype, first).match_concat.modules())


def test_concat_combiner_comes_back_to_the_cells_filters():
    cell = Cell(one_block("identity", "identity", input_a=1, combiner="concat"), shape()).eval()
    current, previous = random_states(shape())
    out_NCHW = cell(current, previous)
    assert out_NCHW.shape[1] == FILTERS == cell.out_channels
    assert torch.equal(out_NCHW, cell.blocks[0].merge(torch.cat([previous, previous], dim=1)))


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("stride", [1, 2])
def test_every_operation_works_on_both_inputs(op, combiner, stride):
    cell_shape = shape(current_channels=3, previous_is_larger=True, stride=stride)
    cell = Cell(one_block(op, op, combiner=combiner), cell_shape)
    size = math.ceil(5 / stride)
    assert cell(*random_states(cell_shape, 5)).shape == (3, FILTERS, size, size)


@settings(max_examples=25)
@given(genotype=cells(), cell_shape=cell_shapes(), size=st.integers(2, 7), seed=st.integers(0, 99))
def test_any_cell_runs_forward_and_backward(genotype, cell_shape, size, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell = Cell(genotype, cell_shape)
        out_NCHW = cell(*random_states(cell_shape, size))
        out_NCHW.square().mean().backward()
    out_size = math.ceil(size / cell_shape.stride)
    assert out_NCHW.shape == (3, cell.out_channels, out_size, out_size)
    for name, parameter in cell.named_parameters():
        if is_reached(name, genotype):
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        else:
            assert parameter.grad is None, name


def is_reached(name: str, genotype: CellGenotype) -> bool:
    """An input that no block takes and that isn't concatenated is matched for nothing."""
    used = {state for block in genotype.blocks for state in (block.input_a, block.input_b)}
    used.update(genotype.concat)
    owner = name.split(".")[0]
    return {"match_current": 0 in used, "match_previous": 1 in used}.get(owner, True)


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op != "identity"])
@pytest.mark.parametrize("stride", [1, 2])
def test_paths_can_be_dropped(op, stride):
    block = Cell(one_block(op, op), shape(stride=stride), drop_path=0.3).blocks[0]
    assert [half[-1].probability for half in (block.op_a, block.op_b)] == [0.3, 0.3]


@pytest.mark.parametrize("changes", [{}, {"stride": 2}, {"current_channels": 3, "previous_channels": 3}])
def test_identities_are_never_dropped(changes):
    cell = Cell(one_block("identity", "identity"), shape(**changes, previous_is_current=True), drop_path=0.3)
    assert not any(isinstance(module, DropPath) for module in cell.modules())


def test_no_drop_path_is_built_at_probability_0():
    cell = Cell(one_block("conv_3x3", "max_pool_3x3"), shape(), drop_path=0.0)
    assert not any(isinstance(module, DropPath) for module in cell.modules())
