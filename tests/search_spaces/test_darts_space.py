"""What the DARTS space is: pairs of different states, and every block in the output."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.space import make_space
from raynas.errors import InvalidConfig, InvalidGenotype
from search_spaces.darts import DARTS_OPERATIONS, DARTS_V2, DartsSpace


def drawn(seed: int, num_blocks: int = 4) -> Genotype:
    space, rng = DartsSpace(num_blocks=num_blocks), random.Random(seed)
    return space.decode([rng.randrange(len(decision.choices)) for decision in space.decisions])


def with_block(genotype: Genotype, index: int, block: Block) -> Genotype:
    blocks = list(genotype.normal.blocks)
    blocks[index] = block
    return replace(genotype, normal=replace(genotype.normal, blocks=tuple(blocks)))


def test_the_first_block_takes_both_inputs_and_the_last_any_pair():
    pairs = {d.name: d.choices for d in DartsSpace().decisions if d.kind == "input"}
    assert pairs["normal.0.inputs"] == ("0+1",)
    assert pairs["normal.1.inputs"] == ("0+1", "0+2", "1+2")
    assert len(pairs["reduction.3.inputs"]) == 10
    assert len(set(pairs["reduction.3.inputs"])) == 10


def test_there_are_three_decisions_a_block_over_seven_operations():
    decisions = DartsSpace().decisions
    assert len(decisions) == 2 * 4 * 3
    assert {d.choices for d in decisions if d.kind == "op"} == {DARTS_OPERATIONS}
    assert "none" not in DARTS_OPERATIONS


@pytest.mark.parametrize("seed", range(50))
def test_the_states_of_a_block_differ_and_every_block_is_concatenated(seed):
    genotype = drawn(seed)
    for cell in (genotype.normal, genotype.reduction):
        assert all(block.input_a < block.input_b for block in cell.blocks)
        assert {block.combiner for block in cell.blocks} == {"add"}
        assert cell.concat == (2, 3, 4, 5)


@pytest.mark.parametrize("seed", range(50))
def test_the_halves_of_a_block_may_come_in_either_order(seed):
    genotype, space = drawn(seed), DartsSpace()
    index = seed % 4
    block = genotype.normal.blocks[index]
    turned = with_block(genotype, index, Block(block.input_b, block.op_b, block.input_a, block.op_a))
    assert turned != genotype
    assert space.encode(turned) == space.encode(genotype)


def test_the_number_of_blocks_is_an_option():
    space = make_space("darts", num_blocks=6)
    genotype = space.decode((0,) * len(space.decisions))
    assert (len(genotype.normal.blocks), genotype.normal.concat) == (6, (2, 3, 4, 5, 6, 7))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Block(2, "identity", 2, "identity"), "normal cell, block 3: takes state 2 twice"),
        (Block(0, "identity", 1, "identity", "concat"), "normal cell, block 3, combiner: 'concat'"),
        (
            Block(0, "identity", 1, "none"),
            r"normal\.3\.op_b: 'none' is not in this space\. Allowed: max_pool",
        ),
        (Block(0, "conv_1x1", 1, "identity"), r"normal\.3\.op_a: 'conv_1x1' is not in this space"),
    ],
)
def test_a_block_of_another_kind_is_refused_by_name(block, message):
    with pytest.raises(InvalidGenotype, match=message):
        DartsSpace().encode(with_block(DARTS_V2, 3, block))


def test_a_concat_of_other_states_is_refused():
    wider = replace(DARTS_V2.normal, concat=(1, 2, 3, 4, 5))
    with pytest.raises(InvalidGenotype, match=r"normal cell, concat: \[1, 2, 3, 4, 5\]; .*\[2, 3, 4, 5\]"):
        DartsSpace().encode(replace(DARTS_V2, normal=wider))


def test_a_chained_cell_is_refused():
    chained = CellGenotype((Block(0, "identity", 0, "identity"),), (1,), num_inputs=1)
    with pytest.raises(InvalidGenotype, match="normal cell: 1 inputs; this space has 2"):
        DartsSpace(num_blocks=1).encode(Genotype(chained, chained))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_blocks": 0}, "space.num_blocks = 0: "),
        ({"operations": ["skip_connect"]}, "'skip_connect' is unknown."),
        ({"operations": ["identity", "identity"]}, "a name is given twice"),
        ({"combiners": ["add"]}, "space.combiners is not an option."),
    ],
)
def test_a_bad_darts_option_is_refused_by_name(options, message):
    with pytest.raises(InvalidConfig) as caught:
        make_space("darts", **options)
    assert message in str(caught.value)
