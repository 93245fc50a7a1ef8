"""Genotypes and networks for the tests of raynas.nn and raynas.training, as small as can be."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from raynas.cells.block import COMBINERS, OPERATIONS, Block
from raynas.cells.genotype import CellGenotype, Genotype, loose_states
from raynas.nn import Cell, Conventions, Network, NetworkConfig, modules
from raynas.nn.cell_plan import CellShape, plan_cell
from search_spaces.nasnet import NASNetSpace

TINY = Genotype(
    normal=CellGenotype((Block(0, "conv_3x3", 1, "identity"),), concat=(2,)),
    reduction=CellGenotype((Block(0, "conv_1x1", 1, "max_pool_3x3"),), concat=(2,)),
)
"""The quickest network that still learns."""


SUBCLASSES = {
    modules.AveragePool2d: nn.AvgPool2d,
    modules.BatchNorm2d: nn.BatchNorm2d,
    modules.DepthwiseConv2d: nn.Conv2d,
}
"""Layers that differ from torch's in their speed alone."""


def torch_types(layers: Iterable[nn.Module]) -> list[type]:
    """The classes of layers, with torch's own in the place of its quicker subclasses."""
    return [SUBCLASSES.get(type(layer), type(layer)) for layer in layers]


def one_block(op_a: str, op_b: str, *, input_a: int = 0, input_b: int = 1, **fields: str) -> CellGenotype:
    return CellGenotype((Block(input_a, op_a, input_b, op_b, **fields),), concat=(2,))


@st.composite
def cells(draw: st.DrawFn, max_blocks: int = 3, num_inputs: int | None = None) -> CellGenotype:
    """Any valid cell, chained or not: all operations and combiners, and any further states in concat."""
    if num_inputs is None:
        num_inputs = draw(st.sampled_from([2, 1, 3, 4]))
    num_blocks = draw(st.integers(1, max_blocks))
    if num_inputs != 2:
        return _chained_cell(draw, num_blocks, num_inputs)
    blocks = tuple(draw(_blocks([draw(st.integers(0, 1 + k)) for _ in "ab"])) for k in range(num_blocks))
    extra = draw(st.sets(st.integers(0, 1 + num_blocks)))
    return CellGenotype(blocks, tuple(sorted(extra.union(loose_states(blocks)))))


def _chained_cell(draw: st.DrawFn, num_blocks: int, num_inputs: int) -> CellGenotype:
    blocks: list[Block] = []
    loose: list[int] = []
    for index in range(num_blocks):
        # What is loose in the end must fit among the outputs; a later block can take two and gives out one.
        to_come = num_blocks - index - 1
        must_take = max(0, len(loose) + 1 - num_inputs - to_come)
        inputs = list(draw(st.permutations(loose)))[:must_take]
        inputs += [draw(st.integers(0, num_inputs + index - 1)) for _ in range(2 - must_take)]
        blocks.append(draw(_blocks(inputs)))
        loose = [state for state in loose if state not in inputs] + [num_inputs + index]
    others = draw(st.permutations([s for s in range(num_inputs + num_blocks) if s not in loose]))
    outputs = draw(st.permutations([*loose, *others[: num_inputs - len(loose)]]))
    return CellGenotype(tuple(blocks), tuple(outputs), num_inputs)


def _blocks(inputs: list[int]) -> st.SearchStrategy[Block]:
    ops = st.sampled_from(OPERATIONS)
    return st.builds(Block, st.just(inputs[0]), ops, st.just(inputs[1]), ops, st.sampled_from(COMBINERS))


@st.composite
def genotypes(draw: st.DrawFn, max_blocks: int = 3) -> Genotype:
    """Any pair of cells that go together."""
    num_inputs = draw(st.sampled_from([2, 1, 3, 4]))
    return Genotype(*(draw(cells(max_blocks, num_inputs)) for _ in range(2)))


@st.composite
def searched_genotypes(draw: st.DrawFn, max_blocks: int = 5) -> Genotype:
    """What a controller can draw from the NASNet space."""
    space = NASNetSpace(num_blocks=draw(st.integers(1, max_blocks)))
    return space.decode([draw(st.integers(0, len(decision.choices) - 1)) for decision in space.decisions])


def conventions() -> st.SearchStrategy[Conventions]:
    return st.builds(
        Conventions,
        match_previous=st.sampled_from(["if_needed", "always"]),
        strided_identity=st.sampled_from(["conv", "relu_factorized", "factorized"]),
        padding=st.sampled_from(["symmetric", "same", "timm"]),
    )


@st.composite
def network_configs(draw: st.DrawFn) -> NetworkConfig:
    """Any way to stack one to three cells up to four times."""
    stem = draw(st.sampled_from(["small_image", "imagenet", "darts_imagenet"]))
    num_reductions = draw(st.integers(0, 3 if stem == "small_image" else 2))
    one_number = st.integers(1, 3)
    return NetworkConfig(
        cells_per_stack=draw(one_number | st.tuples(*[one_number] * (num_reductions + 1))),
        filters=draw(st.integers(2 if stem == "small_image" else 4, 9) | st.just(13)),
        num_reductions=num_reductions,
        stem=stem,
        stem_filters=draw(st.none() | st.integers(1, 9)),
        skip_reduction_input=draw(st.booleans()),
        head=draw(st.sampled_from(["relu", "norm_relu", "plain"])),
        conventions=draw(conventions()),
    )


def smallest_image(config: NetworkConfig) -> int:
    """Pixels per side below which the network is refused."""
    return int((1 if config.stem == "small_image" else 8) * 2**config.num_reductions)


def build_cell(
    genotype: CellGenotype,
    shape: CellShape,
    *,
    conventions: Conventions = Conventions(),  # noqa: B008
    drop_path: float = 0.0,
) -> Cell:
    return Cell(plan_cell(genotype, shape, conventions), conventions, drop_path=drop_path)


def small_network(genotype: Genotype = TINY, *, image_size: int = 8, **fields: Any) -> Network:
    """One channel, five classes; the same weights each time."""
    config = NetworkConfig(**{"cells_per_stack": 1, "filters": 4, "num_reductions": 1, **fields})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(genotype, config, in_channels=1, num_classes=5, image_size=image_size)


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


def meta_images(size: int = 32, *, in_channels: int = 3, num_images: int = 2) -> torch.Tensor:
    return torch.empty(num_images, in_channels, size, size, device="meta")


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def outputs_of(
    modules: Iterable[nn.Module], run: nn.Module, images_NCHW: torch.Tensor
) -> list[tuple[int, ...]]:
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


def assert_finite_gradients(module: nn.Module) -> None:
    """Every parameter has a gradient, and it is finite."""
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
