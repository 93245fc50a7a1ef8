"""NAS-Bench-201: all 15,625 architectures, and the strings by which the benchmark calls them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype
from raynas.cells.space import make_space
from raynas.errors import InvalidConfig, InvalidGenotype
from search_spaces.nasbench201 import (
    EXAMPLE,
    NASBENCH201_OPERATIONS,
    RESIDUAL_BLOCK,
    NASBench201Space,
    from_arch_string,
    to_arch_string,
)

SPACE = NASBench201Space()
ALL_ACTIONS = list(itertools.product(range(5), repeat=6))


@pytest.fixture(scope="module")
def arch_strings() -> list[str]:
    """Of the whole space, in the order of ALL_ACTIONS."""
    return [to_arch_string(SPACE.decode(actions)) for actions in ALL_ACTIONS]


def test_every_architecture_has_its_own_string_and_is_found_by_it(arch_strings):
    assert len(set(arch_strings)) == 15_625
    for actions, text in zip(ALL_ACTIONS, arch_strings, strict=True):
        assert SPACE.encode(from_arch_string(text)) == actions


@pytest.mark.slow
def test_architectures_share_an_id_exactly_if_nodes_1_and_2_can_be_exchanged_for_3():
    """If node 3 takes node 2 as it is, it is the sum of two pairs of edges, and their order says nothing:
    of 5 * 25 * 25 such architectures 5 * 25 * 24 / 2 are written again.
    """
    ids = {SPACE.decode(actions).arch_id for actions in ALL_ACTIONS}
    assert len(ids) == 15_625 - 5 * 25 * 24 // 2


def test_the_published_table_names_exactly_these_architectures(arch_strings, real_data: Path):
    table = real_data / "nasbench201_cifar10.parquet"
    if not table.exists():
        pytest.skip(f"{table} is absent")
    published = pq.read_table(table, columns=["arch"])["arch"].to_pylist()
    assert sorted(published) == sorted(arch_strings)
    assert all(to_arch_string(from_arch_string(text)) == text for text in published)


def test_the_decisions_are_the_edges_in_the_order_of_the_string():
    names = [decision.name for decision in SPACE.decisions]
    assert names == ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]
    assert {decision.choices for decision in SPACE.decisions} == {NASBENCH201_OPERATIONS}


def test_an_architecture_is_the_graph_that_its_string_says():
    genotype = from_arch_string(EXAMPLE)
    assert genotype.normal == CellGenotype(
        blocks=(
            Block(0, "conv_3x3", 0, "none"),
            Block(0, "conv_3x3", 1, "avg_pool_3x3"),
            Block(0, "identity", 1, "conv_3x3"),
            Block(2, "identity", 3, "identity"),
        ),
        concat=(4,),
        num_inputs=1,
    )
    assert genotype.reduction == RESIDUAL_BLOCK
    assert to_arch_string(genotype) == EXAMPLE


def test_the_space_has_no_options():
    with pytest.raises(InvalidConfig, match=r"space\.num_blocks is not an option"):
        make_space("nasbench201", num_blocks=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1 nodes joined by '+', not 3"),
        ("|none~0|+|none~0|none~1|", "2 nodes joined by '+', not 3"),
        (f"{EXAMPLE}+|none~0|", "4 nodes joined by '+', not 3"),
        (EXAMPLE.replace("|+|", "+|", 1), "node 1 is '|nor_conv_3x3~0', not 1 edges between bars"),
        (EXAMPLE.replace("|avg_pool_3x3~1", ""), "node 2 is '|nor_conv_3x3~0|', not 2 edges"),
        (EXAMPLE.replace("|avg_pool_3x3~1", "||avg_pool_3x3~1"), "node 2 is"),
        (f"|{EXAMPLE}", "node 1 is '||nor_conv_3x3~0|'"),
        (EXAMPLE.replace("avg_pool_3x3~1", "avg_pool_3x3~0"), "edge 2<-1 is 'avg_pool_3x3~0', not"),
        (EXAMPLE.replace("avg_pool_3x3~1", "avg_pool_3x3"), "edge 2<-1 is 'avg_pool_3x3', not"),
        (EXAMPLE.replace("skip_connect~2", "skip_connect~"), "edge 3<-2 is 'skip_connect~', not"),
        (EXAMPLE.replace("skip_connect~2", "skip_conect~2"),
         "edge 3<-2: the operation 'skip_conect' is unknown. Did you mean 'skip_connect'? "
         "Known: none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3."),
        (EXAMPLE.replace("skip_connect~2", "skip_connect~02"), "edge 3<-2 is 'skip_connect~02', not"),
        (EXAMPLE.replace("skip_connect~2", "~2"), "edge 3<-2: the operation '' is unknown."),
        ("3f9a1c02b7de", "An example: |nor_conv_3x3~0|+"),
    ],
)  # fmt: skip
def test_a_malformed_string_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(InvalidGenotype) as caught:
        from_arch_string(text)
    assert message in str(caught.value)


def test_a_genotype_of_another_form_has_no_string():
    example = from_arch_string(EXAMPLE)
    first, second, *others = example.normal.blocks
    last = Block(1, "identity", 2, "identity")
    for blocks, message in [
        ((first, second, last), "normal cell: 3 blocks; this space has 4"),
        ((replace(first, op_b="identity"), second, *others), "normal cell: in this space block 0 takes"),
        ((replace(first, combiner="concat"), second, *others), "normal cell: in this space block 0 takes"),
        ((replace(first, op_a="sep_conv_3x3"), second, *others), "1<-0: 'sep_conv_3x3' is not in this space"),
    ]:
        normal = CellGenotype(blocks, (len(blocks),), num_inputs=1)
        with pytest.raises(InvalidGenotype, match=message):
            to_arch_string(replace(example, normal=normal))


def test_a_genotype_with_another_reduction_has_no_string():
    example = from_arch_string(EXAMPLE)
    with pytest.raises(InvalidGenotype, match="reduction cell: in this space it is the residual block"):
        to_arch_string(replace(example, reduction=example.normal))
