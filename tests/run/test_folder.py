"""Where runs lie, how a new one is named, and how an old one is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raynas.errors import RunFolderError
from raynas.run.folder import check_is_free, find_run, new_run_folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run_folder(name: str, *, age: int = 0) -> Path:
    """runs/NAME with a journal that is `age` seconds old."""
    journal = Path("runs", name, "journal.jsonl")
    journal.parent.mkdir(parents=True)
    journal.touch()
    os.utime(journal, (1e9 - age, 1e9 - age))
    return journal.parent


def test_a_new_run_folder_is_named_after_what_is_searched_and_is_not_made():
    folder = new_run_folder("nasnet", "my.package:GreedyHill")
    assert folder.parent == Path("runs")
    assert folder.name.endswith("-nasnet-greedyhill")
    assert not folder.exists()


def test_a_new_run_folder_is_another_one_each_time(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda format: "20260101-000000")
    names = []
    for _ in range(3):
        names.append(new_run_folder("nasnet", "ppo").name)
        Path("runs", names[-1]).mkdir(parents=True)
    stem = "20260101-000000-nasnet-ppo"
    assert names == [stem, f"{stem}-2", f"{stem}-3"]


def test_a_folder_is_free_unless_a_run_lies_in_it():
    Path("filled").mkdir()
    Path("filled/notes.txt").touch()
    check_is_free(Path("filled"))
    check_is_free(Path("not/there"))
    with pytest.raises(RunFolderError, match=r"already holds a run\. Resume it"):
        check_is_free(make_run_folder("one"))


def test_a_file_is_no_free_folder():
    Path("file").touch()
    with pytest.raises(RunFolderError, match=r"^file is a file"):
        check_is_free(Path("file"))


def test_without_a_folder_the_newest_run_is_found():
    make_run_folder("c", age=300)
    newest = make_run_folder("a", age=100)
    make_run_folder("b", age=200)
    Path("runs/z_without_journal").mkdir()
    assert find_run(None) == newest


def test_the_folder_that_is_given_is_taken():
    older = make_run_folder("older", age=100)
    make_run_folder("newer")
    assert find_run(older) == older


@pytest.mark.parametrize("make_runs", [True, False], ids=["empty runs", "no runs"])
def test_without_any_run_the_place_that_was_searched_is_named(here, make_runs):
    if make_runs:
        Path("runs").mkdir()
    with pytest.raises(RunFolderError) as caught:
        find_run(None)
    assert str(here / "runs") in str(caught.value)
    assert "raynas search" in str(caught.value)


def test_a_folder_without_a_run_is_refused_with_the_runs_that_there_are():
    make_run_folder("one")
    for folder in (Path("runs"), Path("not/there")):
        with pytest.raises(RunFolderError, match=r"holds no run: .* Runs: runs/one\."):
            find_run(folder)


def test_a_final_training_is_called_so():
    Path("final").mkdir()
    Path("final/training.json").touch()
    with pytest.raises(RunFolderError, match="final holds a final training, and no search"):
        find_run(Path("final"))


def test_a_folder_without_a_run_where_there_is_none_is_refused():
    with pytest.raises(RunFolderError, match=r"there is no journal\.jsonl in it\.$"):
        find_run(Path("not/there"))
