"""What is a cell and what is none: validation and JSON."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given

from raynas.cells.block import MAX_BLOCKS, Block
from raynas.cells.genotype import CellGenotype, Genotype, loose_states
from raynas.errors import InvalidGenotype
from search_spaces.nasnet import NASNET_A
from tests.cells.cells import genotypes

OP = "sep_conv_3x3"
SUM = Block(0, "identity", 1, "identity")


def chain(num_blocks: int) -> CellGenotype:
    """Blocks that each take the state before."""
    blocks = tuple(Block(index, "identity", index + 1, "identity") for index in range(num_blocks))
    return CellGenotype(blocks, (num_blocks + 1,))


def assert_refused(blocks: tuple[Block, ...], concat: tuple[Any, ...], *parts: str) -> None:
    with pytest.raises(InvalidGenotype) as caught:
        CellGenotype(blocks, concat)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("num_blocks", [1, MAX_BLOCKS])
def test_a_cell_has_one_to_twelve_blocks(num_blocks):
    assert len(chain(num_blocks).blocks) == num_blocks


def test_a_cell_without_blocks_is_refused():
    assert_refused((), (0,), "1 to 12 blocks", "has 0")


def test_a_thirteenth_block_is_refused():
    assert_refused((SUM,) * 13, tuple(range(2, 15)), "1 to 12 blocks", "has 13")


@pytest.mark.parametrize("state", [-1, 3, 99, True, False, "0", 1.0, None])
@pytest.mark.parametrize("field", ["input_a", "input_b"])
def test_an_input_that_is_no_earlier_state_is_refused_by_block_and_field(field, state):
    values: dict[str, Any] = {"input_a": 0, "op_a": "identity", "input_b": 1, "op_b": "identity"}
    blocks = (SUM, Block(**(values | {field: state})))
    assert_refused(blocks, (2, 3), f"block 1, {field}: {state!r}", "(0..2)")


def test_a_block_that_takes_its_own_output_closes_a_cycle():
    assert_refused((Block(0, "identity", 2, "identity"),), (2,), "block 0, input_b: 2", "cycle")


def test_a_block_that_takes_a_later_block_closes_a_cycle():
    assert_refused((Block(0, "identity", 3, "identity"), SUM), (2, 3), "block 0, input_b: 3", "cycle")


@pytest.mark.parametrize("field", ["op_a", "op_b"])
def test_an_unknown_operation_is_refused_with_the_nearest_known_one(field):
    values: dict[str, Any] = {"input_a": 0, "op_a": "identity", "input_b": 1, "op_b": "identity"}
    block = Block(**(values | {field: "sep_conv3x3"}))
    assert_refused((block,), (2,), f"block 0, {field}: 'sep_conv3x3'", "Did you mean 'sep_conv_3x3'?")


@pytest.mark.parametrize("op", [None, 3, ["identity"], ""])
def test_an_operation_that_is_no_known_word_is_refused(op):
    assert_refused((Block(0, op, 1, "identity"),), (2,), f"block 0, op_a: {op!r} is unknown", "Known: ")


def test_an_unknown_combiner_is_refused():
    block = Block(0, "identity", 1, "identity", "ad")
    assert_refused((block,), (2,), "block 0, combiner: 'ad'", "Did you mean 'add'?", "Known: add, concat")


@pytest.mark.parametrize("state", [-1, 3, True, "2", 2.0, None, [2]])
def test_a_concat_of_a_state_that_is_none_is_refused(state):
    assert_refused((SUM,), (2, state), f"concat: there is no state {state!r}", "0..2")


@pytest.mark.parametrize("concat", [(), (2, 2), (2, 0)], ids=["empty", "twice", "unsorted"])
def test_a_concat_is_not_empty_ascending_and_names_each_state_once(concat):
    assert_refused((SUM,), concat, f"concat: {list(concat)}", "ascending order")


def test_a_block_whose_output_goes_nowhere_is_refused():
    assert_refused((SUM, SUM), (3,), "block 0", "state 2", "goes nowhere")


def test_loose_states_are_the_outputs_that_no_block_takes():
    assert loose_states([SUM, SUM, Block(2, "identity", 2, "identity")]) == (3, 4)


@pytest.mark.parametrize("num_inputs", [0, 5, -1, True, "2", 2.0, None])
def test_another_number_of_inputs_than_one_to_four_is_refused(num_inputs):
    with pytest.raises(InvalidGenotype, match=f"num_inputs: {num_inputs!r}; a cell has 1 to 4 inputs"):
        CellGenotype((Block(0, "identity", 0, "identity"),), (2,), num_inputs)


@pytest.mark.parametrize("num_inputs", [1, 2, 3, 4])
def test_a_cell_is_chained_unless_it_has_two_inputs(num_inputs):
    cell = CellGenotype((Block(0, OP, 0, OP),), tuple(range(1, num_inputs + 1)), num_inputs)
    assert (cell.is_chained, cell.num_states) == (num_inputs != 2, num_inputs + 1)


@pytest.mark.parametrize("concat", [(4, 3), (0, 1, 3, 4), (3, 4, 4), ()])
def test_a_chained_cell_has_as_many_different_outputs_as_inputs(concat):
    blocks = (Block(0, OP, 1, OP), Block(1, OP, 2, OP))
    assert CellGenotype(blocks, (4, 0, 3), num_inputs=3).concat == (4, 0, 3)
    with pytest.raises(InvalidGenotype, match="must name 3 different states"):
        CellGenotype(blocks, concat, num_inputs=3)


def test_a_block_of_a_chained_cell_whose_output_goes_nowhere_is_refused():
    blocks = (Block(0, OP, 1, OP), Block(1, OP, 2, OP))
    with pytest.raises(InvalidGenotype, match=r"block 1: its output \(state 4\) goes nowhere"):
        CellGenotype(blocks, (3, 0, 1), num_inputs=3)


def test_a_block_of_a_chained_cell_takes_inputs_and_blocks_before_it():
    with pytest.raises(InvalidGenotype, match=r"block 1, input_b: 4 .*\(0\.\.3\)\. A later state"):
        CellGenotype((Block(0, OP, 1, OP), Block(0, OP, 4, OP)), (3, 4, 0), num_inputs=3)


def test_the_two_cells_of_a_genotype_take_equally_many_inputs():
    one = CellGenotype((Block(0, OP, 0, OP),), (1,), num_inputs=1)
    with pytest.raises(InvalidGenotype, match="num_inputs: the normal cell has 1, the reduction cell 2"):
        Genotype(one, NASNET_A.reduction)


def test_json_names_the_number_of_inputs_of_a_chained_cell_alone():
    one = CellGenotype((Block(0, OP, 0, OP),), (1,), num_inputs=1)
    assert Genotype(one, one).to_dict()["normal"]["num_inputs"] == 1
    assert "num_inputs" not in NASNET_A.to_json()


def test_a_cell_can_concatenate_its_inputs_and_used_blocks():
    assert CellGenotype(chain(2).blocks, (0, 1, 2, 3)).concat == (0, 1, 2, 3)


@given(genotypes())
def test_json_round_trip_gives_the_same_value(genotype):
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert Genotype.from_dict(genotype.to_dict()) == genotype
    assert pickle.loads(pickle.dumps(genotype)) == genotype


@given(genotypes(max_blocks=2))
def test_equal_genotypes_hash_alike(genotype):
    assert len({genotype, Genotype.from_json(genotype.to_json())}) == 1


@pytest.mark.parametrize("text", ["", "{", "not json", "[" * 100_000])
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(InvalidGenotype, match="no JSON"):
        Genotype.from_json(text)


@pytest.mark.parametrize("text", ["null", "3", '"cell"', "[]"])
def test_json_that_is_no_object_is_refused(text):
    with pytest.raises(InvalidGenotype, match="the genotype: expected an object with normal, reduction"):
        Genotype.from_json(text)


def broken(path: list[Any], value: Any) -> str:
    """NASNET_A as JSON with `value` at `path`; what is None there is left out."""
    tree = json.loads(NASNET_A.to_json())
    where = tree
    for key in path[:-1]:
        where = where[key]
    if value is None:
        del where[path[-1]]
    else:
        where[path[-1]] = copy.deepcopy(value)
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["reduction"], None, "the genotype: the field 'reduction' is missing"),
        (["reductoin"], {}, "the genotype: the field 'reductoin' is unknown. Did you mean 'reduction'?"),
        (["normal"], [], "normal cell: expected an object with blocks, concat; got list"),
        (["reduction", "concat"], None, "reduction cell: the field 'concat' is missing"),
        (["normal", "blocks"], {"0": 1}, "normal cell: blocks must be a list; got dict"),
        (["normal", "concat"], "23", "normal cell: concat must be a list; got str"),
        (["normal", "blocks", 1], 7, "normal cell, block 1: expected an object"),
        (["normal", "blocks", 1, "op_a"], None, "normal cell, block 1: the field 'op_a' is missing"),
        (["normal", "blocks", 4, "op_c"], "identity", "normal cell, block 4: the field 'op_c' is unknown"),
        (["reduction", "blocks", 3, "input_a"], "3", "reduction cell, block 3, input_a: '3'"),
        (["reduction", "blocks", 0, "input_a"], True, "reduction cell, block 0, input_a: True"),
        (["reduction", "blocks", 0, "op_b"], ["x"], "reduction cell, block 0, op_b: ['x'] is unknown"),
        (["normal", "num_inputs"], 7, "normal cell, num_inputs: 7; a cell has 1 to 4 inputs"),
        (["normal", "num_inputs"], [2], "normal cell, num_inputs: [2]; a cell has 1 to 4 inputs"),
        (["normal", "num_inputs"], 3, "normal cell, concat: [1, 2, 3, 4, 5, 6] must name 3 different states"),
        (["reduction", "concat"], [3, 4, 5, 9], "reduction cell, concat: there is no state 9"),
    ],
)
def test_json_of_no_genotype_is_refused_by_cell_block_and_field(path, value, message):
    with pytest.raises(InvalidGenotype) as caught:
        Genotype.from_json(broken(path, value))
    assert message in str(caught.value)
