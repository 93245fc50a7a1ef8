"""Random cells and their re-writings, for the laws of the cell language."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from raynas.cells.block import COMBINERS, MAX_INPUTS, NUM_INPUTS, Block
from raynas.cells.canonical import COMMUTATIVE_COMBINERS
from raynas.cells.genotype import CellGenotype, Genotype, loose_states

# Few operations make twins and other coincidences likely.
FEW_OPERATIONS = ("identity", "sep_conv_3x3", "conv_1x1")
# The usual two inputs as often as all other numbers.
NUMBERS_OF_INPUTS = st.sampled_from(
    [NUM_INPUTS] * (MAX_INPUTS - 1) + [n for n in range(1, MAX_INPUTS + 1) if n != NUM_INPUTS]
)


@st.composite
def cells(
    draw: st.DrawFn,
    max_blocks: int = 6,
    num_inputs: st.SearchStrategy[int] = NUMBERS_OF_INPUTS,
    combiners: tuple[str, ...] = COMBINERS,
) -> CellGenotype:
    """Any valid cell of up to `max_blocks` blocks over three operations, chained or not."""
    inputs, num_blocks = draw(num_inputs), draw(st.integers(1, max_blocks))
    blocks: list[Block] = []
    for index in range(num_blocks):
        # A chained cell has as many outputs as inputs, so its blocks can't all be left loose.
        most = None if inputs == NUM_INPUTS else inputs + num_blocks - index - 1
        states = draw(_pair_of_states(blocks, inputs, most))
        ops = draw(st.tuples(st.sampled_from(FEW_OPERATIONS), st.sampled_from(FEW_OPERATIONS)))
        blocks.append(Block(states[0], ops[0], states[1], ops[1], draw(st.sampled_from(combiners))))
    return CellGenotype(tuple(blocks), draw(_outputs(blocks, inputs)), inputs)


def _loose_blocks(blocks: list[Block], num_inputs: int) -> list[int]:
    return [state for state in loose_states(blocks, num_inputs) if state >= num_inputs]


def _pair_of_states(
    blocks: list[Block], num_inputs: int, most: int | None
) -> st.SearchStrategy[tuple[int, int]]:
    """For the next block, after which no more than `most` blocks may be loose."""
    state = st.integers(0, num_inputs + len(blocks) - 1)
    loose = _loose_blocks(blocks, num_inputs)
    if most is None or len(loose) < most:
        return st.tuples(state, state)
    if len(loose) == most:
        return st.tuples(st.sampled_from(loose), state)
    return st.permutations(loose).map(lambda order: (order[0], order[1]))


def _outputs(blocks: list[Block], num_inputs: int) -> st.SearchStrategy[tuple[int, ...]]:
    states = range(num_inputs + len(blocks))
    if num_inputs == NUM_INPUTS:
        loose = set(loose_states(blocks))
        return st.sets(st.sampled_from(states)).map(lambda extra: tuple(sorted(extra | loose)))
    needed = _loose_blocks(blocks, num_inputs)
    others = [state for state in states if state not in needed]
    missing = num_inputs - len(needed)
    return st.permutations(others).flatmap(
        lambda order: st.permutations([*needed, *order[:missing]]).map(tuple)
    )


def genotypes(max_blocks: int = 6) -> st.SearchStrategy[Genotype]:
    """The cells of a genotype have equally many inputs."""
    return NUMBERS_OF_INPUTS.flatmap(
        lambda num_inputs: st.builds(
            Genotype, cells(max_blocks, st.just(num_inputs)), cells(max_blocks, st.just(num_inputs))
        )
    )


def rewritten(cell: CellGenotype, rng: random.Random) -> CellGenotype:
    """The same graph, with its blocks in another possible order and the halves of some sums swapped."""
    labels = {state: state for state in range(cell.num_inputs)}
    blocks: list[Block] = []
    while len(blocks) < len(cell.blocks):
        ready = [
            index
            for index, block in enumerate(cell.blocks)
            if cell.num_inputs + index not in labels and {block.input_a, block.input_b} <= labels.keys()
        ]
        index = rng.choice(ready)
        block = cell.blocks[index]
        halves = [(labels[block.input_a], block.op_a), (labels[block.input_b], block.op_b)]
        if block.combiner in COMMUTATIVE_COMBINERS and rng.random() < 0.5:
            halves.reverse()
        blocks.append(Block(*halves[0], *halves[1], block.combiner))
        labels[cell.num_inputs + index] = len(labels)
    outputs = [labels[state] for state in cell.concat]
    # The outputs of a chained cell are told apart by their order.
    return CellGenotype(
        tuple(blocks), tuple(outputs if cell.is_chained else sorted(outputs)), cell.num_inputs
    )


def rewritten_genotype(genotype: Genotype, rng: random.Random) -> Genotype:
    return Genotype(rewritten(genotype.normal, rng), rewritten(genotype.reduction, rng))
