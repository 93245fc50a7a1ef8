"""The pages that docs/generate makes have everything, and nothing that isn't there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from generate.api import api_page
from generate.commands import commands_page
from generate.docstrings import mark_code
from generate.settings import ROOTS, settings_of, settings_page
from typer.main import get_command

import raynas
from raynas.cli.commands import PANEL_OF
from raynas.cli.main import app
from raynas.config import check_fields, nested
from raynas.programs.search.config import CHOICES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Text of each part of the page of settings, by the command of its heading."""
    parts = re.split(r"^## ", settings_page(), flags=re.M)[1:]
    return {re.findall(r"raynas (\w+)", part)[0]: part for part in parts}


@pytest.mark.parametrize(("command", "model"), ROOTS, ids=[command for command, _ in ROOTS])
def test_every_setting_has_an_entry_with_a_sentence(settings, command, model):
    keys = {key for key, _ in settings_of(model)}
    # A definition begins with its text; one without a doc line would begin with what is allowed.
    entries = dict(re.findall(r"^`([\w.]+)`\n: ([^*\n]*)", settings[command], re.M))
    shown = {key for key in entries if key.split(".")[0] not in CHOICES}
    assert shown == keys
    assert [key for key in entries if not entries[key].strip()] == []


@pytest.mark.parametrize(("command", "model"), ROOTS, ids=[command for command, _ in ROOTS])
def test_every_entry_is_a_setting_that_the_command_takes(settings, command, model):
    for key in re.findall(r"^`([\w.]+)`\n: ", settings[command], re.M):
        check_fields(model, nested({key: None}))


def test_every_registered_class_and_each_of_its_options_has_an_entry(settings):
    for section, registry in CHOICES.items():
        for name in registry.names():
            part = re.split(rf"^#### {section} {name}$", settings["search"], flags=re.M)[1]
            part = re.split(r"^#", part, flags=re.M)[0]
            options = {f"{section}.{key}" for key, _ in settings_of(registry.config_class(name))}
            assert set(re.findall(r"^`([\w.]+)`\n", part, re.M)) == options


def test_bounds_and_defaults_are_those_of_the_fields(settings):
    assert "*integer at least 1; default `24`.*" in settings["search"].partition("`children`")[2][:150]
    assert "below 2,147,483,648" in settings["search"]


@pytest.fixture(scope="module")
def all_commands() -> str:
    return commands_page()


@pytest.mark.parametrize("name", PANEL_OF)
def test_every_option_of_a_command_has_an_entry(all_commands, name):
    part = re.split(rf"^### raynas {name}$", all_commands, flags=re.M)[1]
    part = re.split(r"^##", part, flags=re.M)[0]
    group: Any = get_command(app)
    parameters = group.get_command(None, name).params
    options = {option for one in parameters if one.param_type_name == "option" for option in one.opts}
    assert options <= set(re.findall(r"--?[\w-]+", " ".join(re.findall(r"^`(.*)`$", part, re.M))))


def test_every_public_name_is_on_the_page_of_names():
    shown = set(re.findall(r":: raynas\.(\w+)$", api_page(), re.M))
    assert shown == set(vars(raynas)["__all__"])


def test_indented_code_in_a_docstring_is_marked_and_arguments_are_not():
    lines = [
        "It works.",
        "",
        "    import raynas",
        "",
        "    raynas.build()",
        "",
        "Args:",
        "    one: what",
        "",
        "    two: b",
    ]
    mark_code(None, "function", "f", None, None, lines)
    assert lines[:4] == ["It works.", "", "::", ""]
    assert lines.count("::") == 1


def test_the_extra_and_the_pinned_requirements_of_docs_are_the_same_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.split("[>=]", one)[0] for one in project["optional-dependencies"]["docs"]}
    pinned = (ROOT / "docs" / "requirements.txt").read_text()
    assert set(re.findall(r"^([\w-]+)==", pinned, re.M)) == extra
