"""Where runs lie, how a new one is named, and how an old one is found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raynas.data import DataConfig
from raynas.errors import RunFolderError
from raynas.programs.auto.config import AutoConfig
from raynas.programs.auto.folder import read_state
from raynas.programs.search.prepare import prepare_search
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.folder import check_can_start, resumed_training_config
from raynas.run.folder import check_is_free, find_run, new_run_folder, new_training_folder


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


def test_a_new_run_folder_is_named_after_what_is_searched():
    folder = new_run_folder("nasnet", "my.package:GreedyHill")
    assert folder.parent == Path("runs")
    assert folder.name.endswith("-nasnet-greedyhill")


def test_s4_a_new_run_folder_is_another_one_each_time(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda format: "20260101-000000")
    names = [new_run_folder("nasnet", "ppo").name for _ in range(3)]
    stem = "20260101-000000-nasnet-ppo"
    assert names == [stem, f"{stem}-2", f"{stem}-3"]
    assert [new_training_folder().name for _ in range(2)] == [
        "20260101-000000-training", "20260101-000000-training-2",
    ]  # fmt: skip


def test_s4_many_that_ask_for_a_folder_at_the_same_moment_get_one_each(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda format: "20260101-000000")
    with ThreadPoolExecutor(16) as threads:
        folders = list(threads.map(lambda _: new_run_folder("nasnet", "ppo"), range(64)))
    assert len(set(folders)) == 64


def test_s4_searches_and_promotions_that_are_prepared_in_the_same_second_have_their_own_folders():
    assert prepare_search().folder != prepare_search().folder


def test_s4_a_folder_in_which_nothing_began_is_gone_when_the_process_ends(here):
    lines = [
        "import os, pathlib",
        "from raynas.run.folder import new_run_folder",
        "empty, filled = new_run_folder('a', 'b'), new_run_folder('a', 'b')",
        "(filled / 'journal.jsonl').touch()",
        "os.chdir('/')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
    assert [path.name for path in Path("runs").glob("*/*")] == ["journal.jsonl"]
    assert len(list(Path("runs").iterdir())) == 1


def test_s4_where_no_folder_can_be_made_another_is_asked_for():
    Path("runs").touch()
    with pytest.raises(RunFolderError, match=r"^runs/.*-nasnet-ppo can't be made: .* --out FOLDER"):
        new_run_folder("nasnet", "ppo")


def test_a_folder_is_free_unless_a_run_lies_in_it():
    Path("filled").mkdir()
    Path("filled/notes.txt").touch()
    check_is_free(Path("filled"))
    check_is_free(Path("not/there"))
    with pytest.raises(RunFolderError, match=r"already holds a run\. Resume it"):
        check_is_free(make_run_folder("one"))


@pytest.fixture
def job(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a Ray job, as Ray names it."""
    folder = here / "ray/session_1/runtime_resources/working_dir_files/_ray_pkg_0123456789abcdef"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


WAYS_INTO_A_JOB: dict[str, Callable[[], object]] = {
    "a new run": lambda: new_run_folder("nasnet", "ppo"),
    "a new training": new_training_folder,
    "a search": lambda: prepare_search(data="digits", out="mine"),
    "a search by default": lambda: prepare_search(data="digits"),
    "a training": lambda: check_can_start(Path("mine")),
    "a resumed training": lambda: resumed_training_config(Path("mine"), {}, TrainConfig),
    "an automatic run": lambda: read_state(
        Path("mine"), AutoConfig(data=DataConfig(source="digits"), hours=1)
    ),
}


@pytest.mark.parametrize("way", WAYS_INTO_A_JOB)
def test_a_folder_that_goes_with_its_ray_job_is_refused(job, way):
    with pytest.raises(RunFolderError, match=r"the working directory of a Ray job.* --out FOLDER") as caught:
        WAYS_INTO_A_JOB[way]()
    assert str(job) in str(caught.value)
    assert list(job.iterdir()) == []


def test_a_run_that_lies_in_a_ray_jobs_folder_is_not_resumed_there(job):
    run = make_run_folder("uploaded")
    with pytest.raises(RunFolderError, match="the working directory of a Ray job"):
        prepare_search(out=run, resume=True)


def test_a_job_may_keep_its_run_elsewhere_also_through_a_link(job, here):
    (job / "shared").symlink_to(here)
    check_is_free(Path("shared/runs/one"))
    check_is_free(here / "runs/one")


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
