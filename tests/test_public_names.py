"""The names that `import raynas` gives."""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import version
from pathlib import Path

import pytest

import raynas


def names_for_type_checkers() -> list[str]:
    tree = ast.parse(Path(raynas.__file__).read_text())
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return sorted(alias.asname for node in statements for alias in node.names if alias.asname)


def test_type_checkers_see_what_is_there():
    names = vars(raynas)["__all__"]
    assert names_for_type_checkers() == names
    assert all(hasattr(raynas, name) for name in names)


def test_the_version_is_the_installed_one():
    assert raynas.__version__ == version("raynas")


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="'raynas' has no attribute 'run_serach'"):
        raynas.run_serach  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "name", ["auto", "run_search", "prepare_search", "promote", "train_final", "report", "benchmark"]
)
def test_a_function_shows_each_of_its_arguments(name):
    parameters = inspect.signature(getattr(raynas, name)).parameters.values()
    assert all(one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)


def test_a_search_is_prepared_and_run_with_the_same_arguments():
    prepared, run = (
        inspect.signature(function).parameters for function in (raynas.prepare_search, raynas.run_search)
    )
    assert set(run) - set(prepared) == {"address", "factory", "listeners", "progress"}
    assert all(run[name] == parameter for name, parameter in prepared.items())
