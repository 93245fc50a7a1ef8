"""The examples of docs/your-own.md run: a space, its checks, a table of one's own."""

from __future__ import annotations

import json
import shlex

import pytest
from typer.testing import CliRunner

from raynas.cells.space import make_space
from raynas.cli.main import app
from raynas.errors import InvalidGenotype
from raynas.nn import Network, NetworkConfig
from raynas.programs.benchmark import Columns, read_table
from raynas.testing import check_space
from tests.docs.pages import block_with

PAGE = "docs/your-own.md"


@pytest.fixture
def chain(tmp_path, monkeypatch):
    (tmp_path / "my_spaces.py").write_text(block_with(PAGE, "class Chain("))
    monkeypatch.syspath_prepend(tmp_path)
    return make_space("my_spaces:Chain", length=4)


@pytest.fixture
def named_chain(chain, tmp_path):
    (tmp_path / "my_names.py").write_text(block_with(PAGE, "class NamedChain("))
    return make_space("my_names:NamedChain")


def test_the_example_space_decodes_encodes_and_builds(chain):
    actions = (0, 1, 2, 1)
    genotype = chain.decode(actions)
    assert chain.encode(genotype) == actions
    Network(genotype, NetworkConfig(filters=4, cells_per_stack=1), in_channels=1, num_classes=2, image_size=8)


def test_the_example_space_keeps_the_promises_of_a_space(chain):
    check_space(chain)


def test_s13_the_space_of_the_example_table_keeps_the_promises_of_a_space(named_chain):
    check_space(named_chain)


def test_s13_the_example_of_a_table_of_ones_own_runs(named_chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.csv").write_text(block_with(PAGE, "arch,valid", "text"))
    command = block_with(PAGE, "my_names:NamedChain", "bash").replace("\\\n", " ")
    words = [*shlex.split(command)[1:], "--processes", "1", "--format", "json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = {(one["strategy"], one["budget"]): one for one in json.loads(result.stdout)}
    assert set(found) == {(name, budget) for name in ("random", "evolution") for budget in (100, 300)}
    assert 0.88 < found["random", 100]["mean"] <= found["random", 300]["mean"] <= 0.912
    assert (tmp_path / "chains" / "report.html").is_file()


@pytest.mark.parametrize("text", ["max_pool_3x3", "sep_conv_3x3+sep_conv_9x9"])
def test_s13_a_name_that_the_example_does_not_know_is_refused_with_its_row(named_chain, tmp_path, text):
    (tmp_path / "cells.csv").write_text(f"arch,valid,test,seconds\n{text},0.9,0.9,1\n")
    columns = Columns(signal="valid", result="test", cost="seconds")
    with pytest.raises(InvalidGenotype, match=r"cells\.csv, column 'arch', row 0: .* is not 2 of sep"):
        read_table(tmp_path / "cells.csv", named_chain, columns)
