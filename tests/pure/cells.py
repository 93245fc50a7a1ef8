"""Random cells and their re-writings, for the laws of the cell language."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from raynas.genotype import COMBINERS, NUM_INPUTS, Block, CellGenotype, Genotype, loose_states

# Few operations make twins and other coincidences likely.
FEW_OPERATIONS = ("identity", "sep_conv_3x3", "conv_1x1")


@st.composite
def cells(draw: st.DrawFn, max_blocks: int = 6) -> CellGenotype:
    """Any valid cell of up to `max_blocks` blocks over three operations."""
    blocks: list[Block] = []
    ops = st.sampled_from(FEW_OPERATIONS)
    for index in range(draw(st.integers(1, max_blocks))):
        states = st.integers(0, NUM_INPUTS + index - 1)
        combiner = draw(st.sampled_from(COMBINERS))
        blocks.append(Block(draw(states), draw(ops), draw(states), draw(ops), combiner))
    extra = draw(st.sets(st.integers(0, NUM_INPUTS + len(blocks) - 1)))
    return CellGenotype(tuple(blocks), tuple(sorted(extra | set(loose_states(blocks)))))


def genotypes(max_blocks: int = 6) -> st.SearchStrategy[Genotype]:
    return st.builds(Genotype, cells(max_blocks), cells(max_blocks))


def rewritten(cell: CellGenotype, rng: random.Random) -> CellGenotype:
    """The same graph, with its blocks in another possible order and the halves of some sums swapped."""
    labels = {state: state for state in range(NUM_INPUTS)}
    blocks: list[Block] = []
    while len(blocks) < len(cell.blocks):
        ready = [
            index
            for index, block in enumerate(cell.blocks)
            if NUM_INPUTS + index not in labels and {block.input_a, block.input_b} <= labels.keys()
        ]
        index = rng.choice(ready)
        block = cell.blocks[index]
        halves = [(labels[block.input_a], block.op_a), (labels[block.input_b], block.op_b)]
        if block.combiner == "add" and rng.random() < 0.5:
            halves.reverse()
        blocks.append(Block(*halves[0], *halves[1], block.combiner))
        labels[NUM_INPUTS + index] = len(labels)
    return CellGenotype(tuple(blocks), tuple(sorted(labels[state] for state in cell.concat)))
