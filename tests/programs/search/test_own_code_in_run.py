"""A run does not begin in a folder that holds the user's own space, strategy or reward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raynas.errors import RunFolderError
from raynas.programs.search.prepare import prepare_search

CODE = """
from raynas.strategies.random_search import RandomSearch
from raynas.strategies.rewards.accuracy import Accuracy
from search_spaces.nasnet import NASNetSpace
class Space(NASNetSpace): ...
class Mine(RandomSearch): ...
class Score(Accuracy): ...
"""
CHOICES = [("space", "Space"), ("strategy", "Mine"), ("reward", "Score")]


@pytest.fixture(params=["mine_s6.py", "pack_s6/mine_s6.py", "pack_s6/below/mine_s6.py"])
def module(request, tmp_path: Path, monkeypatch) -> str:
    path = tmp_path / "code" / request.param
    path.parent.mkdir(parents=True)
    path.write_text(CODE)
    monkeypatch.chdir(tmp_path / "code")
    monkeypatch.syspath_prepend(tmp_path / "code")
    for name in ("mine_s6", "pack_s6", "pack_s6.mine_s6", "pack_s6.below", "pack_s6.below.mine_s6"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return str(request.param).removesuffix(".py").replace("/", ".")


def chosen(field: str, name: str) -> dict[str, Any]:
    """An argument of prepare_search."""
    return {field: name}


@pytest.mark.parametrize(("field", "name"), CHOICES)
def test_s6_the_folder_that_holds_the_users_own_class_is_refused_at_the_start(module, field, name):
    link = Path("../link")
    link.symlink_to(Path.cwd())
    for out in (".", Path.cwd(), "..", "../code", link):
        with pytest.raises(RunFolderError, match=rf"the {field} '{module}:{name}' lies in it.*--out"):
            prepare_search(out=out, **chosen(field, f"{module}:{name}"))
    assert not Path("journal.jsonl").exists()


@pytest.mark.parametrize(("field", "name"), CHOICES)
def test_s6_folders_beside_and_below_it_are_accepted(module, field, name):
    for out in ("runs/one", "../elsewhere"):
        assert prepare_search(out=out, **chosen(field, f"{module}:{name}")).folder == Path(out)
