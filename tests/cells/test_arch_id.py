"""arch_id is equal for equal graphs and only for them, in every process."""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.cells.block import COMBINERS, NUM_INPUTS, Block
from raynas.cells.genotype import CellGenotype, Genotype, loose_states
from search_spaces.nasnet import NASNET_A
from tests.cells.cells import genotypes, rewritten, rewritten_genotype

OP = "sep_conv_3x3"
ROOT = Path(__file__).parents[2]


def arch_id(cell: CellGenotype) -> str:
    return Genotype(cell, NASNET_A.reduction).arch_id


def cell(*blocks: Block, concat: tuple[int, ...] | None = None) -> CellGenotype:
    return CellGenotype(blocks, loose_states(blocks) if concat is None else concat)


@given(genotypes(), st.integers(0, 2**32))
def test_arch_id_is_equal_for_every_writing_of_a_graph(genotype, seed):
    other = rewritten_genotype(genotype, random.Random(seed))
    assert other.arch_id == genotype.arch_id
    assert other.canonical() == genotype.canonical()


@pytest.mark.parametrize("seed", range(20))
def test_arch_id_of_nasnet_a_is_equal_for_every_writing(seed):
    other = rewritten_genotype(NASNET_A, random.Random(seed))
    assert other.arch_id == NASNET_A.arch_id


@given(genotypes())
def test_the_canonical_writing_is_its_own(genotype):
    canonical = genotype.canonical()
    assert canonical.canonical() == canonical
    assert canonical.arch_id == genotype.arch_id
    assert re.fullmatch("[0-9a-f]{12}", genotype.arch_id)


@given(genotypes())
def test_the_normal_and_the_reduction_cell_are_not_interchangeable(genotype):
    is_same = genotype.normal.canonical() == genotype.reduction.canonical()
    assert (Genotype(genotype.reduction, genotype.normal).arch_id == genotype.arch_id) == is_same


@pytest.mark.parametrize(
    ("combiner", "is_equal"),
    [("add", True), ("concat", False), ("add_layer_norm", True), ("add_instance_norm", True)],
)
def test_halves_can_be_swapped_in_a_sum_but_not_in_a_concatenation(combiner, is_equal):
    one = Block(0, "identity", 1, OP, combiner)
    other = Block(1, OP, 0, "identity", combiner)
    assert (arch_id(cell(one)) == arch_id(cell(other))) == is_equal


def test_no_two_combiners_are_the_same():
    ids = {arch_id(cell(Block(0, OP, 1, OP, combiner))) for combiner in COMBINERS}
    assert len(ids) == len(COMBINERS)


def test_the_two_inputs_of_a_cell_differ():
    assert arch_id(cell(Block(0, OP, 0, OP))) != arch_id(cell(Block(1, OP, 1, OP)))


def test_nasnet_a_concatenates_more_than_its_loose_states():
    """The official Normal cell concatenates h_(i-1) too, the Reduction cell a block that is used."""
    normal = replace(NASNET_A.normal, concat=loose_states(NASNET_A.normal.blocks))
    reduction = replace(NASNET_A.reduction, concat=loose_states(NASNET_A.reduction.blocks))
    assert (len(normal.concat), len(reduction.concat)) == (5, 3)
    ids = {Genotype(a, b).arch_id for a in (NASNET_A.normal, normal) for b in (NASNET_A.reduction, reduction)}
    assert len(ids) == 4


def test_it_does_not_matter_which_of_two_twins_is_used():
    twins = Block(0, OP, 1, OP), Block(0, OP, 1, OP)
    first, second = cell(*twins, Block(2, OP, 0, OP)), cell(*twins, Block(3, OP, 0, OP))
    assert arch_id(first) == arch_id(second)


def test_it_does_not_matter_which_of_two_used_twins_is_concatenated():
    blocks = Block(0, OP, 1, OP), Block(0, OP, 1, OP), Block(2, OP, 3, OP)
    assert arch_id(cell(*blocks, concat=(2, 4))) == arch_id(cell(*blocks, concat=(3, 4)))


def test_it_matters_which_consumer_the_concatenated_twin_has():
    blocks = Block(0, OP, 1, OP), Block(0, OP, 1, OP), Block(2, OP, 0, OP), Block(3, "identity", 0, OP)
    assert arch_id(cell(*blocks, concat=(2, 4, 5))) != arch_id(cell(*blocks, concat=(3, 4, 5)))


def chained(*blocks: Block, outputs: tuple[int, ...]) -> CellGenotype:
    return CellGenotype(blocks, outputs, len(outputs)).canonical()


def test_the_outputs_of_a_chained_cell_are_told_apart_by_their_order():
    blocks = Block(0, OP, 1, OP), Block(2, "identity", 1, OP)
    assert chained(*blocks, outputs=(3, 4, 0)) != chained(*blocks, outputs=(4, 3, 0))


def test_twins_are_interchangeable_as_outputs_of_a_chained_cell():
    """Whichever comes first: there is no telling which one that is."""
    twins = Block(0, OP, 1, OP), Block(0, OP, 1, OP)
    assert chained(*twins, outputs=(3, 4, 0)) == chained(*twins, outputs=(4, 3, 0))


def test_it_matters_for_a_chained_cell_which_output_a_used_twin_is():
    blocks = Block(0, OP, 1, OP), Block(0, OP, 1, OP), Block(3, OP, 3, OP)
    one, other = chained(*blocks, outputs=(3, 4, 5)), chained(*blocks, outputs=(4, 3, 5))
    assert one != other
    blocks = Block(0, OP, 1, OP), Block(0, OP, 1, OP), Block(4, OP, 4, OP)
    assert chained(*blocks, outputs=(4, 3, 5)) == one


def test_two_uses_of_one_twin_differ_from_one_use_of_each():
    twins = Block(0, OP, 1, OP), Block(0, OP, 1, OP)
    one = cell(*twins, Block(2, OP, 2, OP), concat=(2, 3, 4))
    each = cell(*twins, Block(2, OP, 3, OP), concat=(2, 3, 4))
    assert arch_id(one) != arch_id(each)


@pytest.mark.parametrize("num_twins", [6, 8, 12])
def test_twelve_blocks_with_many_twins_have_one_canonical_writing(num_twins):
    """Eight twins in four pairs have 8! orders, the most that twelve blocks can have."""
    firsts = sorted(2 + 2 * (index % (num_twins // 2)) for index in range(12 - num_twins))
    pairs = [Block(first, OP, first + 1, OP) for first in firsts]
    twelve = cell(*[Block(0, OP, 1, OP)] * num_twins, *pairs)
    assert rewritten(twelve, random.Random(num_twins)).canonical() == twelve


def test_a_cell_of_eight_twins_in_four_alike_pairs_takes_milliseconds_and_not_seconds():
    # 8! orders of the twins: trying each took four seconds a writing.
    twins = (Block(0, "identity", 1, "identity"),) * 8
    pairs = tuple(Block(state, "identity", state + 1, "identity") for state in (2, 4, 6, 8))
    twinned = cell(*twins, *pairs)
    began = time.process_time()
    for seed in range(20):
        assert rewritten(twinned, random.Random(seed)).canonical() == twinned.canonical()
    assert time.process_time() - began < 40


def test_arch_id_does_not_depend_on_the_hash_seed():
    code = "from search_spaces.nasnet import NASNET_A; print(NASNET_A.arch_id)"
    ids = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "4242")
    }
    assert ids == {NASNET_A.arch_id}


def small_blocks(num_blocks: int, ops: tuple[str, ...], num_inputs: int) -> Iterator[tuple[Block, ...]]:
    """All blocks of sums, each sum in one order of its halves."""
    halves_per_block = [
        list(itertools.product(range(num_inputs + index), ops)) for index in range(num_blocks)
    ]
    pairs = [itertools.combinations_with_replacement(halves, 2) for halves in halves_per_block]
    for choice in itertools.product(*map(list, pairs)):
        yield tuple(Block(*a, *b) for a, b in choice)


def small_chained_cells(num_blocks: int, ops: tuple[str, ...], num_inputs: int) -> Iterator[CellGenotype]:
    """Every chained cell of sums, with its outputs in every order."""
    for blocks in small_blocks(num_blocks, ops, num_inputs):
        loose = {state for state in loose_states(blocks, num_inputs) if state >= num_inputs}
        for outputs in itertools.permutations(range(num_inputs + num_blocks), num_inputs):
            if loose <= set(outputs):
                yield CellGenotype(blocks, outputs, num_inputs)


def small_cells(num_blocks: int, ops: tuple[str, ...], with_inputs: bool) -> Iterator[CellGenotype]:
    """Every cell of sums with every concat; `with_inputs`: also of states 0 and 1."""
    for blocks in small_blocks(num_blocks, ops, NUM_INPUTS):
        loose = loose_states(blocks)
        optional = set(range(0 if with_inputs else NUM_INPUTS, NUM_INPUTS + num_blocks)) - set(loose)
        for size in range(len(optional) + 1):
            for extra in itertools.combinations(sorted(optional), size):
                yield CellGenotype(blocks, tuple(sorted({*loose, *extra})))


def smallest_of_all_permutations(cell: CellGenotype) -> Any:
    """Equal for two cells of sums exactly when a renumbering of blocks turns one into the other."""
    writings = []
    for order in itertools.permutations(range(len(cell.blocks))):
        label = {state: state for state in range(cell.num_inputs)}
        label |= {cell.num_inputs + block: cell.num_inputs + place for place, block in enumerate(order)}
        blocks = [
            sorted([(label[block.input_a], block.op_a), (label[block.input_b], block.op_b)])
            for block in (cell.blocks[index] for index in order)
        ]
        outputs = [label[state] for state in cell.concat]
        writings.append((blocks, outputs if cell.is_chained else sorted(outputs)))
    return repr(min(writings))


@pytest.mark.parametrize(
    ("num_blocks", "ops", "with_inputs"),
    [
        (1, ("identity", OP, "conv_1x1"), True),
        (2, ("identity", OP, "conv_1x1"), True),
        (3, ("identity", OP), False),
    ],
)
def test_arch_id_is_equal_exactly_for_isomorphic_cells(num_blocks, ops, with_inputs):
    assert_canonical_exactly_by_graph(small_cells(num_blocks, ops, with_inputs))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_blocks", "ops", "num_inputs"),
    [
        (2, ("identity", OP), 1),
        (3, ("identity", OP), 1),
        (4, ("identity",), 1),
        (2, ("identity", OP), 3),
        (3, ("identity",), 3),
        (2, ("identity",), 4),
    ],
)
def test_arch_id_is_equal_exactly_for_isomorphic_chained_cells(num_blocks, ops, num_inputs):
    assert_canonical_exactly_by_graph(small_chained_cells(num_blocks, ops, num_inputs))


def assert_canonical_exactly_by_graph(small_cells: Iterator[CellGenotype]) -> None:
    by_canonical, by_graph = defaultdict(set), defaultdict(set)
    for small in small_cells:
        canonical, graph = small.canonical(), smallest_of_all_permutations(small)
        by_canonical[canonical].add(graph)
        by_graph[graph].add(canonical)
    assert max(map(len, by_canonical.values())) == 1
    assert max(map(len, by_graph.values())) == 1


def test_different_canonical_writings_have_different_ids():
    writings = {small.canonical() for small in small_cells(2, ("identity", OP), True)}
    assert len({arch_id(writing) for writing in writings}) == len(writings)
