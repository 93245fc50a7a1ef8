"""Cells to draw, and how to measure their drawings; shared by the tests of raynas.cells.draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raynas.cells.block import COMBINERS, MAX_BLOCKS, MAX_INPUTS, NUM_INPUTS, OPERATIONS, Block
from raynas.cells.draw.shapes import Arrow, Position, Rectangle
from raynas.cells.genotype import CellGenotype, Genotype, loose_states

SAMPLES_PER_CURVE = 16


def for_all(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """hypothesis.given without time limits: a busy machine is no fault of a drawing."""
    relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    return lambda test: relaxed(given(**strategies)(test))


@st.composite
def cells(draw: st.DrawFn, max_blocks: int = MAX_BLOCKS, num_inputs: int | None = None) -> CellGenotype:
    """Any valid cell: all operations and combiners, a quarter of the halves 'none', 1 to 4 inputs."""
    num_inputs = num_inputs or draw(st.integers(1, MAX_INPUTS))
    ops, combiners = st.sampled_from((*OPERATIONS, *["none"] * 5)), st.sampled_from(COMBINERS)
    blocks: list[Block] = []
    for index in range(draw(st.integers(1, max_blocks))):
        states = st.integers(0, num_inputs + index - 1)
        loose = _loose_blocks(blocks, num_inputs)
        # A chained cell has no more outputs than inputs, so a block too many takes up a loose one.
        must_take = num_inputs != NUM_INPUTS and len(loose) == num_inputs
        input_a = draw(st.sampled_from(loose) if must_take else states)
        blocks.append(Block(input_a, draw(ops), draw(states), draw(ops), draw(combiners)))
    outputs = _loose_blocks(blocks, num_inputs)
    others = [state for state in range(num_inputs + len(blocks)) if state not in outputs]
    if num_inputs != NUM_INPUTS:
        outputs += draw(st.permutations(others))[: num_inputs - len(outputs)]
        return CellGenotype(tuple(blocks), tuple(draw(st.permutations(outputs))), num_inputs)
    return CellGenotype(tuple(blocks), tuple(sorted({*outputs, *draw(st.sets(st.sampled_from(others)))})))


def _loose_blocks(blocks: list[Block], num_inputs: int) -> list[int]:
    return [state for state in loose_states(blocks, num_inputs) if state >= num_inputs]


@st.composite
def genotypes(draw: st.DrawFn, max_blocks: int = MAX_BLOCKS) -> Genotype:
    """Two cells, or the same one twice."""
    num_inputs = draw(st.integers(1, MAX_INPUTS))
    normal = draw(cells(max_blocks, num_inputs))
    return Genotype(normal, normal if draw(st.booleans()) else draw(cells(max_blocks, num_inputs)))


def chain(num_blocks: int) -> CellGenotype:
    """The tallest cell: each block takes the two states before it, and every state is concatenated."""
    blocks = tuple(
        Block(index + 1, "sep_conv_3x3", index, "conv_1x7_7x1", "concat") for index in range(num_blocks)
    )
    return CellGenotype(blocks, tuple(range(num_blocks + 2)))


def comb(num_blocks: int) -> CellGenotype:
    """The widest cell: each block takes both inputs."""
    blocks = tuple(Block(0, "max_pool_7x7", 1, "identity") for _ in range(num_blocks))
    return CellGenotype(blocks, loose_states(blocks))


def overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether they share more than a border."""
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def contains(outer: Rectangle, inner: Rectangle) -> bool:
    return (
        outer.x <= inner.x
        and inner.right <= outer.right
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom
    )


def is_inside(x: float, y: float, box: Rectangle) -> bool:
    return box.x < x < box.right and box.y < y < box.bottom


def is_on_border(point: Position, box: Rectangle) -> bool:
    x, y = point
    on_vertical = x in (box.x, box.right) and box.y <= y <= box.bottom
    return on_vertical or (y in (box.y, box.bottom) and box.x <= x <= box.right)


def along(arrow: Arrow) -> Iterator[tuple[float, float]]:
    """Points on the arrow's curves, close to each other."""
    points = arrow.points
    for first in range(0, len(points) - 1, 3):
        corners = points[first : first + 4]
        for step in range(SAMPLES_PER_CURVE + 1):
            t = step / SAMPLES_PER_CURVE
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            yield (
                sum(weight * x for weight, (x, _) in zip(weights, corners, strict=True)),
                sum(weight * y for weight, (_, y) in zip(weights, corners, strict=True)),
            )
