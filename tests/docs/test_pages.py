"""What README and the pages of docs/ show is there: commands, settings, names, files."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

import raynas
from raynas.cli.main import app
from raynas.config import check_fields, nested, parse_assignments
from raynas.models.networks import NETWORKS
from raynas.programs.detect.config import DetectConfig
from raynas.programs.search.config import SearchConfig
from raynas.programs.train.config import TrainConfig
from tests.docs.pages import PAGES, ROOT, blocks, commands

COMMANDS = [(page, line) for page in PAGES for line in commands(page)]
PYTHON = [(page, block) for page in PAGES for block in blocks(page, "python")]
CONFIGS: dict[str, type[BaseModel]] = {
    "search": SearchConfig,
    "promote": SearchConfig,
    "train": TrainConfig,
    "detect": DetectConfig,
}


def words_of(page: str, line: str) -> list[str]:
    """The words of a command, with the page's shell variable in its place."""
    small = re.search(r'^small="(.*)"$', PAGES[page], re.M)
    text = line.replace("\\\n", " ").replace("$small", small.group(1) if small else "$small")
    return shlex.split(text, comments=True)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_the_command_line_reads_every_command(page, line):
    name, *words = words_of(page, line)
    group: Any = get_command(app)
    context = group.get_command(None, name).make_context(name, words)
    if name in CONFIGS:
        check_fields(CONFIGS[name], nested(parse_assignments(context.params["set_"] or [])))


@pytest.mark.parametrize("key", re.findall(r"--set\s([\w.]+)=", "\n".join(PAGES.values())))
def test_every_setting_in_a_sentence_is_a_setting_of_some_command(key):
    configs = set(CONFIGS.values())
    refused = 0
    for config in configs:
        try:
            check_fields(config, nested({key: None}))
        except raynas.UsageError:
            refused += 1
    assert refused < len(configs)


@pytest.mark.parametrize(("page", "block"), PYTHON)
def test_python_blocks_use_names_and_arguments_that_exist(page, block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "raynas":
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("raynas."):
            function = getattr(raynas, ast.unparse(node.func).removeprefix("raynas."))
            given = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            inspect.signature(function).bind(*node.args, **given)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_that_is_named_exists(page):
    for name in re.findall(
        r"\b(?:raynas|search_spaces|benchmarks|tests|launchers|docs)/[\w/.-]+", PAGES[page]
    ):
        if f".venv/bin/{name}" not in PAGES[page] and not name.startswith("docs/generated"):
            path = name.rstrip(".-")
            assert (ROOT / path).exists() or f"build/{path}" in PAGES[page], name


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_that_is_named_exists(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = re.findall(r"(?:`|^)make ([\w-]+)", PAGES[page], re.M)
    assert set(named) <= targets


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/quick-start.md"])
def test_the_first_two_commands_are_make_search_and_make_test(page):
    lines = blocks(page, "bash")[0].splitlines()
    assert [line.split("#")[0].strip() for line in lines] == ["make search", "make test"]


def test_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 120


def test_readme_links_every_page():
    linked = set(re.findall(r"\]\(([\w/.-]+\.md)\)", PAGES["README.md"]))
    assert {page for page in PAGES if page.startswith("docs/")} - {"docs/benchmarks.md"} <= linked
    assert all((ROOT / link).is_file() for link in linked)


def test_the_picture_of_a_cell_is_the_one_that_raynas_draws(capsys, tmp_path):
    app(["show", "nasnet_a", "--format", "svg", "--out", str(tmp_path / "cell.svg")], standalone_mode=False)
    assert (tmp_path / "cell.svg").read_text() == (ROOT / "docs" / "pictures" / "nasnet_a.svg").read_text()


def sizes_in_the_table() -> list[tuple[str, str, str, str]]:
    rows = r"^\| (\w+_\w+)[^|]*\| (\d+) \| ([\d,]+) \| ([\d,.]+) M \|"
    return re.findall(rows, PAGES["docs/networks.md"], re.M)


def test_the_table_of_published_networks_is_what_is_built():
    assert len(sizes_in_the_table()) == 9
    for name, pixels, parameters, mult_adds in sizes_in_the_table():
        network, cost = NETWORKS[name], NETWORKS[name].spec.complexity()
        assert network.image_size == int(pixels)
        assert f"{cost.parameters:,}" == parameters
        assert cost.mult_adds / 1e6 == pytest.approx(float(mult_adds.replace(",", "")), abs=0.51)
