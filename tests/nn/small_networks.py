"""Genotypes and networks for the tests of raynas.nn and raynas.training, as small as can be."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from raynas.genotype import COMBINERS, OPERATIONS, Block, CellGenotype, Genotype, loose_states
from raynas.nn import Network, NetworkConfig
from search_spaces.nasnet import NASNetSpace

TINY = Genotype(
    normal=CellGenotype((Block(0, "conv_3x3", 1, "identity"),), concat=(2,)),
    reduction=CellGenotype((Block(0, "conv_1x1", 1, "max_pool_3x3"),), concat=(2,)),
)
"""The quickest network that still learns."""


def one_block(op_a: str, op_b: str, *, input_a: int = 0, input_b: int = 1, **fields: str) -> CellGenotype:
    return CellGenotype((Block(input_a, op_a, input_b, op_b, **fields),), concat=(2,))


@st.composite
def cells(draw: st.DrawFn, max_blocks: int = 3) -> CellGenotype:
    """Any valid cell: all operations and combiners, and any further states in concat."""
    num_blocks = draw(st.integers(1, max_blocks))
    ops, combiners = st.sampled_from(OPERATIONS), st.sampled_from(COMBINERS)
    states = [st.integers(0, 1 + index) for index in range(num_blocks)]
    blocks = tuple(Block(draw(state), draw(ops), draw(state), draw(ops), draw(combiners)) for state in states)
    extra = draw(st.sets(st.integers(0, 1 + num_blocks)))
    return CellGenotype(blocks, tuple(sorted(extra.union(loose_states(blocks)))))


@st.composite
def searched_genotypes(draw: st.DrawFn, max_blocks: int = 5) -> Genotype:
    """What a controller can draw from the NASNet space."""
    space = NASNetSpace(num_blocks=draw(st.integers(1, max_blocks)))
    return space.decode([draw(st.integers(0, len(decision.choices) - 1)) for decision in space.decisions])


def network_configs() -> st.SearchStrategy[NetworkConfig]:
    return st.builds(
        NetworkConfig,
        cells_per_stack=st.integers(1, 3),
        filters=st.integers(2, 9),
        num_reductions=st.integers(0, 3),
        stem_multiplier=st.sampled_from([0.5, 1.0, 1.3, 3.0]),
    )


def meta_network(
    genotype: Genotype,
    config: NetworkConfig,
    *,
    in_channels: int = 3,
    num_classes: int = 10,
    image_size: int = 32,
) -> Network:
    """The network as shapes without memory or arithmetic."""
    with torch.device("meta"):
        return Network(
            genotype, config, in_channels=in_channels, num_classes=num_classes, image_size=image_size
        )


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def outputs_of(modules: Any, run: torch.nn.Module, images_NCHW: torch.Tensor) -> list[tuple[int, ...]]:
    """Shapes (C, H, W) that `modules` give while `run` works on the images."""
    shapes: list[tuple[int, ...]] = []
    handles = [
        module.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:])))
        for module in modules
    ]
    run(images_NCHW)
    for handle in handles:
        handle.remove()
    return shapes
