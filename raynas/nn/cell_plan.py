"""The layer plan of a cell at its place in a network, from which it is built and counted. No torch.

Source for how shapes are matched: tensorflow/models slim nasnet_utils.py, class NasNetABaseCell.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype
from raynas.nn.config import Conventions
from raynas.nn.layers import (
    Conv,
    FactorizedReduction,
    GroupNorm,
    Layers,
    Norm,
    relu_conv_norm,
    relu_factorized_reduction,
)
from raynas.nn.ops import OpShape, op_layers


@dataclass(frozen=True, slots=True)
class CellShape:
    """What a cell must map between at its place in a network."""

    current_channels: int
    previous_channels: int
    filters: int
    """Channels of every state inside the cell."""
    stride: int = 1
    previous_is_larger: bool = False
    """Whether the previous state has twice the current state's height and width."""
    is_first: bool = False
    """Whether there is no cell before: the stem's unchanged output then stands in for every further input."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """The layers of a block's two operations, and those that follow its sum or concatenation."""

    block: Block
    op_a: Layers
    op_b: Layers
    merge: Layers


@dataclass(frozen=True, slots=True)
class CellPlan:
    """The layers of a cell. Unused states are left out, so that every layer gets a gradient.

    Attributes:
        inputs: the genotype's inputs that are used; a chained cell takes only these.
        match: for each of `inputs`, the layers that bring it to the cell's size and width.
        blocks: (state, plan) of each block that is used.
        fix_ups: (state, layers) of each input that is also an output and is still too large or too wide.
        outputs: the states that the cell returns, concatenated in this order.
    """

    shape: CellShape
    inputs: tuple[int, ...]
    match: tuple[Layers, ...]
    blocks: tuple[tuple[int, BlockPlan], ...]
    fix_ups: tuple[tuple[int, Layers], ...]
    outputs: tuple[int, ...]
    is_chained: bool
    num_inputs: int

    @property
    def out_channels(self) -> int:
        """Channels of the cell's output."""
        return len(self.outputs) * self.shape.filters


def used_states(genotype: CellGenotype, outputs: tuple[int, ...]) -> frozenset[int]:
    """Every state that `outputs` depend on, themselves included."""
    # From the last block down: whether a block is used is known once all later ones are.
    used = set(outputs)
    for state in reversed(range(genotype.num_inputs, genotype.num_states)):
        if state in used:
            block = genotype.blocks[state - genotype.num_inputs]
            used |= {block.input_a, block.input_b}
    return frozenset(used)


# A network has the same cell at many places of the same shape, and is planned twice: to be counted and to be
# built.
@functools.lru_cache(maxsize=512)
def plan_cell(
    genotype: CellGenotype,
    shape: CellShape,
    conventions: Conventions,
    outputs: tuple[int, ...] | None = None,
) -> CellPlan:
    """The cell's layer plan.

    Args:
        outputs: the outputs that the next cell takes, in a chained network. Defaults to all that the genotype
            lists.
    """
    outputs = genotype.concat if outputs is None else outputs
    used = used_states(genotype, outputs)
    inputs = tuple(state for state in range(genotype.num_inputs) if state in used)
    channels, match = _matched(genotype, shape, conventions, inputs)
    blocks = tuple(
        (
            state,
            _plan_block(genotype.blocks[state - genotype.num_inputs], genotype, shape, conventions, channels),
        )
        for state in range(genotype.num_inputs, genotype.num_states)
        if state in used
    )
    # An input that is also an output passes no strided operation on its way, so here it gets the size and the
    # width of the blocks' outputs.
    fix_ups = tuple(
        (state, _fix_up(channels[state], shape))
        for state in outputs
        if state < genotype.num_inputs and (shape.stride == 2 or channels[state] != shape.filters)
    )
    return CellPlan(shape, inputs, match, blocks, fix_ups, outputs, genotype.is_chained, genotype.num_inputs)


def _matched(
    genotype: CellGenotype, shape: CellShape, conventions: Conventions, inputs: tuple[int, ...]
) -> tuple[dict[int, int], tuple[Layers, ...]]:
    """Channels of each input once it is matched, and the layers that match it."""
    channels: dict[int, int] = {}
    match: list[Layers] = []
    for state in inputs:
        layers: Layers
        if genotype.is_chained:
            # Inputs are not matched: the operations on them change the width, as in NAS-Bench-201's
            # residual blocks.
            # The cell before concatenated one map per input, and Cell.forward takes them apart again. The
            # stem has a single map, which every input gets whole.
            source, layers = shape.current_channels // (1 if shape.is_first else len(inputs)), ()
        elif state == 0:
            source, layers = shape.current_channels, relu_conv_norm(shape.current_channels, shape.filters)
        else:
            source, layers = shape.previous_channels, _match_previous(shape, conventions)
        # Without layers to match it, an input keeps the channels that it comes with, and the operations on it
        # change them.
        channels[state] = shape.filters if layers else source
        match.append(layers)
    return channels, tuple(match)


def _match_previous(shape: CellShape, conventions: Conventions) -> Layers:
    # Three cases, as in slim's _reduce_prev_layer: another size, another number of channels, or nothing to
    # do.
    if shape.previous_is_larger:
        return relu_factorized_reduction(shape.previous_channels, shape.filters)
    # Where there is no previous cell, NASNet's code uses the stem's output unchanged, whatever its width.
    is_other = shape.previous_channels != shape.filters and not shape.is_first
    if is_other or conventions.match_previous == "always":
        return relu_conv_norm(shape.previous_channels, shape.filters)
    return ()


def _plan_block(
    block: Block,
    genotype: CellGenotype,
    shape: CellShape,
    conventions: Conventions,
    channels: dict[int, int],
) -> BlockPlan:
    def half(op: str, state: int) -> Layers:
        # In a Reduction cell, operations on inputs halve the size. Blocks' outputs are small already (Zoph et
        # al. 2018, section 3).
        stride = shape.stride if state < genotype.num_inputs else 1
        # `channels` holds the inputs alone; the output of every block has `filters` channels.
        in_channels = channels.get(state, shape.filters)
        return op_layers(op, OpShape(in_channels, shape.filters, stride, conventions.strided_identity))

    return BlockPlan(
        block, half(block.op_a, block.input_a), half(block.op_b, block.input_b), _merge(block, shape.filters)
    )


def _merge(block: Block, filters: int) -> Layers:
    """Layers after the combiner.

    A concatenation is brought back to `filters` channels, so that every state has the same width ("1x1
    convolutions are inserted where shapes disagree", Zoph et al. 2018, A.4, which does not say where).
    """
    return {
        "add": (),
        "concat": relu_conv_norm(2 * filters, filters),
        "add_layer_norm": (GroupNorm(filters, 1),),
        "add_instance_norm": (GroupNorm(filters, filters),),
    }[block.combiner]


def _fix_up(in_channels: int, shape: CellShape) -> Layers:
    # No ReLU, unlike in _match_previous: slim has none before states that are only concatenated.
    if shape.stride == 2:
        return (FactorizedReduction(in_channels, shape.filters),)
    return (Conv(in_channels, shape.filters, (1, 1)), Norm(shape.filters))
