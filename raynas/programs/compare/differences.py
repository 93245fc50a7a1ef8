"""Which blocks of a cell another cell doesn't have. Pure Python."""

from __future__ import annotations

from collections import Counter

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype

Signature = tuple[str, tuple[tuple[str, str], ...]]


def new_blocks(cell: CellGenotype, reference: CellGenotype) -> frozenset[int]:
    """Indices of the blocks of `cell` that have no equal in `reference`.

    Blocks are equal if they combine the same operations in the same way on the same inputs of the cell. All
    earlier blocks count as one kind of input, so that one changed block doesn't mark all that build on it.
    """
    left = Counter(_signature(block, reference.num_inputs) for block in reference.blocks)
    found = set()
    for index, block in enumerate(cell.blocks):
        signature = _signature(block, cell.num_inputs)
        if left[signature] > 0:
            left[signature] -= 1
        else:
            found.add(index)
    return frozenset(found)


def described(block: Block, num_inputs: int) -> str:
    """The block on one line, such as 'conv_1x1(input 0) add identity(a block)'."""
    combiner, ((op_a, from_a), (op_b, from_b)) = _signature(block, num_inputs)
    return f"{op_a}({from_a}) {combiner} {op_b}({from_b})"


def _signature(block: Block, num_inputs: int) -> Signature:
    halves = ((block.op_a, block.input_a), (block.op_b, block.input_b))
    named = ((op, f"input {state}" if state < num_inputs else "a block") for op, state in halves)
    return block.combiner, tuple(sorted(named))
