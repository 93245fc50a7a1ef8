"""The published cells against the listings of their authors, each in its source's own notation."""

from __future__ import annotations

import pytest

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype, loose_states
from raynas.cells.published import published_cell, published_cells
from raynas.cells.space import make_space
from raynas.errors import InvalidGenotype

# DARTS and all that came after it: (operation, state) two by two; state 0 is h_(i-1), state 1 is h_i.
Listing = list[tuple[str, int]]
DARTS_LISTINGS: dict[str, tuple[Listing, list[int], Listing, list[int]]] = {
    # quark0/darts cnn/genotypes.py: NASNet, AmoebaNet, DARTS_V1, DARTS_V2
    "nasnet_a_darts": (
        [("sep_conv_5x5", 1), ("sep_conv_3x3", 0), ("sep_conv_5x5", 0), ("sep_conv_3x3", 0),
         ("avg_pool_3x3", 1), ("skip_connect", 0), ("avg_pool_3x3", 0), ("avg_pool_3x3", 0),
         ("sep_conv_3x3", 1), ("skip_connect", 1)],
        [2, 3, 4, 5, 6],
        [("sep_conv_5x5", 1), ("sep_conv_7x7", 0), ("max_pool_3x3", 1), ("sep_conv_7x7", 0),
         ("avg_pool_3x3", 1), ("sep_conv_5x5", 0), ("skip_connect", 3), ("avg_pool_3x3", 2),
         ("sep_conv_3x3", 2), ("max_pool_3x3", 1)],
        [4, 5, 6],
    ),
    "amoebanet_a_darts": (
        [("avg_pool_3x3", 0), ("max_pool_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_5x5", 2),
         ("sep_conv_3x3", 0), ("avg_pool_3x3", 3), ("sep_conv_3x3", 1), ("skip_connect", 1),
         ("skip_connect", 0), ("avg_pool_3x3", 1)],
        [4, 5, 6],
        [("avg_pool_3x3", 0), ("sep_conv_3x3", 1), ("max_pool_3x3", 0), ("sep_conv_7x7", 2),
         ("sep_conv_7x7", 0), ("avg_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1),
         ("conv_7x1_1x7", 0), ("sep_conv_3x3", 5)],
        [3, 4, 6],
    ),
    "darts_v1": (
        [("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 0), ("sep_conv_3x3", 1),
         ("skip_connect", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 2)],
        [2, 3, 4, 5],
        [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 0),
         ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("avg_pool_3x3", 0)],
        [2, 3, 4, 5],
    ),
    "darts_v2": (
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
         ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
        [2, 3, 4, 5],
        [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
         ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
        [2, 3, 4, 5],
    ),
    # facebookresearch/unnas pycls/models/nas/genotypes.py: PNASNet
    "pnasnet5": (
        [("sep_conv_5x5", 0), ("max_pool_3x3", 0), ("sep_conv_7x7", 1), ("max_pool_3x3", 1),
         ("sep_conv_5x5", 1), ("sep_conv_3x3", 1), ("sep_conv_3x3", 4), ("max_pool_3x3", 1),
         ("sep_conv_3x3", 0), ("skip_connect", 1)],
        [2, 3, 4, 5, 6],
        [("sep_conv_5x5", 0), ("max_pool_3x3", 0), ("sep_conv_7x7", 1), ("max_pool_3x3", 1),
         ("sep_conv_5x5", 1), ("sep_conv_3x3", 1), ("sep_conv_3x3", 4), ("max_pool_3x3", 1),
         ("sep_conv_3x3", 0), ("skip_connect", 1)],
        [2, 3, 4, 5, 6],
    ),
}  # fmt: skip
DARTS_WORDS = {"skip_connect": "identity", "conv_7x1_1x7": "conv_1x7_7x1"}

# TensorFlow: operations, states and `used_hiddenstates` of each cell; state 0 is h_i. What isn't marked as
# used is concatenated.
TensorFlowCell = tuple[str, list[int], list[int]]
TENSORFLOW_LISTINGS: dict[str, tuple[TensorFlowCell, TensorFlowCell]] = {
    # tensorflow/models research/slim/nets/nasnet/nasnet_utils.py and pnasnet.py
    "nasnet_a": (
        ("separable_5x5_2 separable_3x3_2 separable_5x5_2 separable_3x3_2 avg_pool_3x3 none avg_pool_3x3 "
         "avg_pool_3x3 separable_3x3_2 none", [0, 1, 1, 1, 0, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]),
        ("separable_5x5_2 separable_7x7_2 max_pool_3x3 separable_7x7_2 avg_pool_3x3 separable_5x5_2 none "
         "avg_pool_3x3 separable_3x3_2 max_pool_3x3", [0, 1, 0, 1, 0, 1, 3, 2, 2, 0], [1, 1, 1, 0, 0, 0, 0]),
    ),
    "pnasnet5": (
        ("separable_5x5_2 max_pool_3x3 separable_7x7_2 max_pool_3x3 separable_5x5_2 separable_3x3_2 "
         "separable_3x3_2 max_pool_3x3 separable_3x3_2 none",
         [1, 1, 0, 0, 0, 0, 4, 0, 1, 0], [1, 1, 0, 0, 0, 0, 0]),
    ) * 2,
    # tensorflow/tpu models/official/amoeba_net/model_specs.py
    "amoebanet_a_tpu": (
        ("avg_pool_3x3 max_pool_3x3 separable_3x3_2 none none avg_pool_3x3 separable_3x3_2 separable_5x5_2 "
         "avg_pool_3x3 separable_3x3_2", [0, 0, 1, 1, 0, 1, 0, 2, 5, 0], [1, 0, 1, 0, 0, 1, 0]),
        ("separable_3x3_2 avg_pool_3x3 max_pool_3x3 separable_7x7_2 max_pool_3x3 max_pool_3x3 "
         "separable_3x3_2 1x7_7x1 avg_pool_3x3 separable_7x7_2",
         [1, 0, 0, 2, 1, 0, 4, 0, 1, 0], [1, 1, 0, 0, 0, 0, 0]),
    ),
    "amoebanet_b": (
        ("1x1 max_pool_3x3 none separable_3x3_2 1x1 separable_3x3_2 1x1 none avg_pool_3x3 1x1",
         [1, 1, 1, 0, 1, 0, 2, 2, 1, 5], [0, 1, 1, 0, 0, 1, 0]),
        ("max_pool_2x2 max_pool_3x3 none 3x3 dil_2_separable_5x5_2 max_pool_3x3 none separable_3x3_2 "
         "avg_pool_3x3 1x1", [0, 0, 2, 1, 2, 2, 3, 1, 4, 3], [1, 1, 1, 1, 1, 0, 0]),
    ),
    "amoebanet_c": (
        ("avg_pool_3x3 separable_3x3_2 none separable_3x3_2 avg_pool_3x3 separable_3x3_2 none "
         "separable_3x3_2 avg_pool_3x3 separable_3x3_2",
         [0, 0, 0, 0, 2, 1, 0, 1, 3, 0], [1, 0, 0, 1, 0, 0, 0]),
        ("max_pool_3x3 max_pool_3x3 separable_7x7_2 separable_3x3_2 separable_7x7_2 max_pool_3x3 "
         "separable_5x5_2 separable_5x5_2 max_pool_3x3 separable_3x3_2",
         [0, 0, 2, 0, 0, 1, 4, 4, 1, 1], [0, 1, 0, 0, 0, 0, 0]),
    ),
    "amoebanet_d": (
        ("1x1 max_pool_3x3 none 1x7_7x1 1x1 1x7_7x1 max_pool_3x3 none avg_pool_3x3 1x1",
         [1, 1, 1, 0, 0, 0, 2, 2, 1, 5], [0, 1, 1, 0, 0, 1, 0]),
        ("max_pool_2x2 max_pool_3x3 none 3x3 1x7_7x1 max_pool_3x3 none max_pool_2x2 avg_pool_3x3 1x1",
         [0, 0, 2, 1, 2, 2, 3, 1, 2, 3], [1, 1, 1, 1, 0, 0, 0]),
    ),
}  # fmt: skip
TENSORFLOW_WORDS = {
    "none": "identity",
    "separable_3x3_2": "sep_conv_3x3",
    "separable_5x5_2": "sep_conv_5x5",
    "separable_7x7_2": "sep_conv_7x7",
    "dil_2_separable_5x5_2": "sep_conv_5x5",
    "1x1": "conv_1x1",
    "3x3": "bottleneck_3x3",
    "1x7_7x1": "bottleneck_1x7_7x1",
}

# melodyguan/enas scripts/cifar10_micro_final.sh: input, operation, input, operation of each block; state 0 is
# h_(i-1). Operations as src/cifar10/micro_child.py numbers them.
ENAS_NORMAL = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1"
ENAS_REDUCTION = "1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
ENAS_WORDS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")


def swapped(state: int) -> int:
    """The other numbering of the two inputs."""
    return {0: 1, 1: 0}.get(state, state)


def cell_of(halves: list[tuple[str, int]], concat: list[int] | None = None) -> CellGenotype:
    """The halves of the blocks one after another, in our words and our numbering."""
    blocks = tuple(
        Block(state_a, op_a, state_b, op_b)
        for (op_a, state_a), (op_b, state_b) in zip(halves[::2], halves[1::2], strict=True)
    )
    return CellGenotype(blocks, loose_states(blocks) if concat is None else tuple(concat))


def from_darts(listing: Listing, concat: list[int]) -> CellGenotype:
    return cell_of([(DARTS_WORDS.get(word, word), swapped(state)) for word, state in listing], concat)


def from_tensorflow(operations: str, states: list[int], used: list[int]) -> CellGenotype:
    words = [TENSORFLOW_WORDS.get(word, word) for word in operations.split()]
    concat = [state for state, is_used in enumerate(used) if not is_used]
    return cell_of(list(zip(words, states, strict=True)), concat)


def from_enas(text: str) -> CellGenotype:
    numbers = [int(word) for word in text.split()]
    halves = zip(numbers[::2], numbers[1::2], strict=True)
    return cell_of([(ENAS_WORDS[op], swapped(state)) for state, op in halves])


@pytest.mark.parametrize("name", DARTS_LISTINGS)
def test_the_cell_is_the_listing_of_the_darts_family(name):
    normal, normal_concat, reduction, reduction_concat = DARTS_LISTINGS[name]
    listed = Genotype(from_darts(normal, normal_concat), from_darts(reduction, reduction_concat))
    assert published_cell(name).genotype == listed


@pytest.mark.parametrize("name", TENSORFLOW_LISTINGS)
def test_the_cell_is_the_listing_in_tensorflow(name):
    normal, reduction = TENSORFLOW_LISTINGS[name]
    assert published_cell(name).genotype == Genotype(from_tensorflow(*normal), from_tensorflow(*reduction))


def test_the_enas_cell_is_the_one_of_its_script():
    assert published_cell("enas_micro").genotype == Genotype(
        from_enas(ENAS_NORMAL), from_enas(ENAS_REDUCTION)
    )


def test_every_published_cell_is_compared_with_a_listing():
    assert set(published_cells()) == {*DARTS_LISTINGS, *TENSORFLOW_LISTINGS, "enas_micro"}


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("nasnet_a_darts", "nasnet"),
        ("amoebanet_a_darts", "amoebanet"),
        ("enas_micro", "enas"),
        ("darts_v1", "darts"),
        ("darts_v2", "darts"),
    ],
)
def test_a_cell_of_a_space_can_be_chosen_there(name, space):
    genotype = published_cell(name).genotype
    again = make_space(space).decode(make_space(space).encode(genotype))
    assert again.arch_id == genotype.arch_id


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("nasnet_a", "nasnet", r"normal cell, concat: \[1, 2, 3, 4, 5, 6\]"),
        ("pnasnet5", "pnasnet", r"normal cell, concat: \[2, 3, 4, 5, 6\].* \[2, 3, 5, 6\]"),
        ("amoebanet_a_tpu", "amoebanet", r"normal cell, concat: \[1, 3, 4, 6\].* \[3, 4, 6\]"),
        ("amoebanet_b", "amoebanet", "normal cell, concat"),
        ("amoebanet_c", "amoebanet", "normal cell, concat"),
        ("amoebanet_d", "amoebanet", "normal cell, concat"),
        ("nasnet_a_darts", "pnasnet", "reduction cell: this space has one cell"),
        ("nasnet_a_darts", "darts", "normal cell: 5 blocks; this space has 4"),
        ("darts_v2", "nasnet", "normal cell: 4 blocks; this space has 5"),
        ("darts_v2", "nasnet_b", "normal cell: 2 inputs; this space has 4"),
        ("darts_v2", "nasbench201", "reduction cell: in this space it is the residual block"),
    ],
)
def test_a_cell_of_another_space_is_refused_with_the_reason(name, space, message):
    with pytest.raises(InvalidGenotype, match=message):
        make_space(space).encode(published_cell(name).genotype)
