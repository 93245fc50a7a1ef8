"""Places for a single cell, and random states to put in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from raynas.cells.genotype import CellGenotype
from raynas.nn.cell_plan import CellShape, used_states

FILTERS = 4


def shape(**changes: Any) -> CellShape:
    """Both inputs fit; `changes` say where not."""
    return CellShape(
        **{"current_channels": FILTERS, "previous_channels": FILTERS, "filters": FILTERS, **changes}
    )


def first_shape(**changes: Any) -> CellShape:
    """Right behind a stem of 3 channels."""
    return shape(current_channels=3, previous_channels=3, is_first=True, **changes)


@st.composite
def cell_shapes(draw: st.DrawFn) -> CellShape:
    channels, strides = st.sampled_from([FILTERS, 3]), st.sampled_from([1, 2])
    filters = draw(st.sampled_from([FILTERS, 1, 5]))
    if draw(st.booleans()):
        return first_shape(filters=filters, stride=draw(strides))
    return CellShape(draw(channels), draw(channels), filters, draw(strides), draw(st.booleans()))


def shape_for(genotype: CellGenotype, cell_shape: CellShape) -> CellShape:
    """A chained cell's current state holds as many states as the cell takes."""
    if not genotype.is_chained or cell_shape.is_first:
        return cell_shape
    taken = sum(state < genotype.num_inputs for state in used_states(genotype, genotype.concat))
    return replace(cell_shape, current_channels=taken * cell_shape.current_channels)


def random_states(
    cell_shape: CellShape, size: int = 6, *, num_images: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Current and previous."""
    current = torch.randn(num_images, cell_shape.current_channels, size, size)
    if cell_shape.is_first:
        return current, current
    previous_size = 2 * size - 1 if cell_shape.previous_is_larger else size
    return current, torch.randn(num_images, cell_shape.previous_channels, previous_size, previous_size)
