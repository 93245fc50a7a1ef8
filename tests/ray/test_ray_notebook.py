"""The notebook in docs/ runs, on the Ray of the tests: its own space, the search, the table, the pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import raynas

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "search.ipynb"
pytestmark = pytest.mark.ray


@pytest.fixture
def main(monkeypatch) -> dict[str, Any]:
    """The names of a new __main__, which has no spec, as in a notebook."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return vars(module)


def test_the_notebook_runs(pool, main, monkeypatch, tmp_path, capsys):
    search = raynas.run_search

    def on_what_the_pool_leaves(*, children: int, settings: dict[str, Any], **words: Any) -> Any:
        least = {"workers.cpus": 0.01, "workers.count": 1, "network.cells_per_stack": 1}
        return search(children=2, settings=settings | least, **words)

    monkeypatch.setattr(raynas, "run_search", on_what_the_pool_leaves, raising=False)
    monkeypatch.chdir(tmp_path)
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), main)
    assert "Did you mean 'filters'?" in capsys.readouterr().out
    assert main["result"].config.space.name == "__main__:CheapSpace"
    assert len(main["table"]) == 2 and set(main["table"]["network.filters"]) == {4}
