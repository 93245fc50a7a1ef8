"""What the NASNet space is, and which spaces are found; tests/nn/test_space_contract.py tests every space."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.cells.block import COMBINERS
from raynas.cells.genotype import CellGenotype, Genotype, loose_states
from raynas.cells.published import published_cell, published_cells
from raynas.cells.space import SPACES, make_space
from raynas.errors import InvalidConfig, InvalidGenotype, UnknownName, UsageError
from search_spaces.nasnet import NASNET_A, NASNET_OPERATIONS, NASNetSpace
from tests.cells.cells import cells

SPACE_NAMES = SPACES.names()


def test_wrong_actions_are_refused_with_what_is_wrong():
    space = NASNetSpace(num_blocks=1)
    with pytest.raises(ValueError, match="2 actions for 10 decisions"):
        space.decode((0, 0))
    with pytest.raises(ValueError, match=r"action 2 is not in 0\.\.1"):
        space.decode((2,) + (0,) * 9)


def test_the_papers_space_has_fifty_decisions_over_thirteen_operations():
    space = NASNetSpace()
    kinds = [decision.kind for decision in space.decisions]
    assert len(kinds) == 2 * 5 * 5
    assert (kinds.count("input"), kinds.count("op"), kinds.count("combiner")) == (20, 20, 10)
    assert all(len(decision.choices) == 13 for decision in space.decisions if decision.kind == "op")


def test_size_counts_the_writings():
    one = NASNetSpace(num_blocks=1, operations=("identity", "conv_1x1"))
    assert one.size == (2 * 2 * 2 * 2 * 2) ** 2


def test_options_narrow_the_space():
    space = make_space("nasnet", num_blocks=2, operations=["conv_1x1"], combiners=["concat"])
    genotype = space.decode((0,) * len(space.decisions))
    blocks = (*genotype.normal.blocks, *genotype.reduction.blocks)
    assert len(space.decisions) == 2 * 2 * 4
    assert {(block.op_a, block.op_b, block.combiner) for block in blocks} == {
        ("conv_1x1", "conv_1x1", "concat")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_blocks": 0}, "space.num_blocks = 0: "),
        ({"num_blocks": 13}, "space.num_blocks = 13: "),
        ({"num_blocks": "many"}, "space.num_blocks = 'many': "),
        ({"num_block": 3}, "space.num_block is not an option. Did you mean 'num_blocks'?"),
        ({"operations": []}, "space.operations = []: "),
        ({"operations": "identity"}, "space.operations = 'identity': "),
        ({"operations": ["identity", "identity"]}, "a name is given twice"),
        ({"operations": ["sep_conv3x3"]}, "'sep_conv3x3' is unknown. Did you mean 'sep_conv_3x3'?"),
        ({"combiners": []}, "space.combiners = []: "),
        ({"combiners": ["ad"]}, "'ad' is unknown. Did you mean 'add'? Known: add, concat"),
        ({"combiners": ["identity"]}, "'identity' is unknown. Known: add, concat"),
    ],
)
def test_a_bad_option_is_refused_by_name(options, message):
    with pytest.raises(InvalidConfig) as caught:
        make_space("nasnet", **options)
    assert message in str(caught.value)


def test_a_single_combiner_is_no_decision():
    """In every block it is that one."""
    space = NASNetSpace(num_blocks=1, operations=("identity",), combiners=("concat",))
    genotype = space.decode((0, 1, 0, 0) * 2)
    assert {decision.kind for decision in space.decisions} == {"input", "op"}
    assert genotype.normal.blocks[0].combiner == "concat"
    with pytest.raises(InvalidGenotype, match=r"normal cell, block 0, combiner: 'concat'.*Allowed: add\."):
        NASNetSpace(num_blocks=1, combiners=("add",)).encode(genotype)


def test_nasnet_a_is_not_in_the_space_because_of_its_concat():
    with pytest.raises(InvalidGenotype) as caught:
        NASNetSpace().encode(NASNET_A)
    assert "normal cell, concat: [1, 2, 3, 4, 5, 6]" in str(caught.value)
    assert "in this space these blocks give out the states [2, 3, 4, 5, 6]" in str(caught.value)


def test_another_number_of_blocks_is_not_in_the_space():
    with pytest.raises(ValueError, match="normal cell: 5 blocks; this space has 3"):
        NASNetSpace(num_blocks=3).encode(NASNET_A)


def test_an_operation_that_was_left_out_is_not_in_the_space():
    whole = NASNetSpace(num_blocks=1)
    genotype = whole.decode((0, 0, NASNET_OPERATIONS.index("conv_3x3"), 0, 0) * 2)
    with pytest.raises(
        ValueError, match=r"normal\.0\.op_a: 'conv_3x3' is not in this space\. Allowed: identity\."
    ):
        NASNetSpace(num_blocks=1, operations=("identity",)).encode(genotype)


@given(cells(max_blocks=4, num_inputs=st.just(2), combiners=("add", "concat")))
def test_decode_inverts_encode_on_cells_with_loose_concat(cell):
    loose = CellGenotype(cell.blocks, loose_states(cell.blocks))
    genotype, space = Genotype(loose, loose), NASNetSpace(num_blocks=len(cell.blocks))
    assert space.decode(space.encode(genotype)) == genotype


def test_published_cells_are_found_by_name_with_their_source():
    assert published_cell("nasnet_a").genotype == NASNET_A
    assert all("20" in cell.source for cell in published_cells().values())
    with pytest.raises(UnknownName, match="Did you mean 'nasnet_a'"):
        published_cell("nasnet_b")


def test_a_cell_of_nasnet_b_passes_every_block_on():
    space = make_space("nasnet_b")
    genotype = space.decode((0,) * len(space.decisions))
    assert (genotype.normal.num_inputs, genotype.normal.concat) == (4, (4, 5, 6, 7))
    assert len(space.decisions) == 2 * 4 * 5
    assert {d.choices for d in space.decisions if d.kind == "combiner"} == {COMBINERS}
    assert [d.choices for d in space.decisions if d.name == "normal.3.input_b"] == [tuple(range(7))]


def test_nasnet_b_has_as_many_blocks_as_inputs():
    with pytest.raises(InvalidConfig, match=r"space\.num_blocks = 5: Input should be 4\."):
        make_space("nasnet_b", num_blocks=5)


def test_the_one_cell_of_pnasnet_is_normal_and_reduction():
    space = make_space("pnasnet")
    genotype = space.decode((0,) * len(space.decisions))
    assert genotype.normal == genotype.reduction
    assert {decision.name.split(".")[0] for decision in space.decisions} == {"cell"}


def test_an_unknown_space_is_refused_with_the_nearest_name_and_the_way_to_an_own_one():
    with pytest.raises(UnknownName) as caught:
        make_space("nasnat")
    message = str(caught.value)
    assert "No search space is called 'nasnat'. Did you mean 'nasnet'?" in message
    assert "'package.module:ClassName'" in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


OWN_SPACE = """
from raynas.cells.space import Decision, SearchSpace
from search_spaces.nasnet import NASNetSpace

class TwoBlocks(SearchSpace):
    width: int = 2

    @property
    def decisions(self):
        return tuple(Decision(str(index), "op", (0, 1)) for index in range(self.width))

    def decode(self, actions):
        self.check(actions)
        return NASNetSpace(num_blocks=1).decode((0, 0, *actions, 0) * 2)

    def encode(self, genotype):
        return NASNetSpace(num_blocks=1).encode(genotype)[2:4]

class NoSpace:
    pass
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module with a search space of the user's."""
    (tmp_path / "own_space_of_a_user.py").write_text(OWN_SPACE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_space_of_a_user"


def test_an_own_space_is_found_by_module_and_class(own_module):
    space = make_space(f"{own_module}:TwoBlocks", width=2)
    assert space.encode(space.decode((1, 0))) == (1, 0)
    with pytest.raises(InvalidConfig, match=r"space\.witdh is not an option. Did you mean 'width'\?"):
        make_space(f"{own_module}:TwoBlocks", witdh=2)


def test_a_class_that_is_no_space_is_refused(own_module):
    with pytest.raises(UsageError, match=r"must be a subclass of raynas\.cells\.space\.SearchSpace"):
        make_space(f"{own_module}:NoSpace")


@pytest.mark.parametrize(
    "path", ["no_such_module:Space", "json:NoSuchClass", ":Space", "json:", ":", "json:a.b", ".json:Space"]
)
def test_a_class_that_can_not_be_imported_is_refused(path):
    with pytest.raises(UsageError, match="can't be imported"):
        make_space(path)


def test_a_registered_name_can_not_be_taken_twice():
    class Other(NASNetSpace):
        pass

    with pytest.raises(ValueError, match="search space 'nasnet' is registered already"):
        SPACES.register("nasnet")(Other)
    assert SPACES.find("nasnet") is NASNetSpace


def test_the_papers_words_are_the_defaults():
    space = NASNetSpace()
    assert (space.operations, space.combiners) == (NASNET_OPERATIONS, ("add", "concat"))
