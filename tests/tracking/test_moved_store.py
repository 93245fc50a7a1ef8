"""A runs folder that was moved or copied: MLflow's pages are written and shown where it lies now."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from raynas.files import JOURNAL_FILE
from raynas.tracking import moved_store
from raynas.tracking.store import connect, sqlite_uri
from raynas.tracking.ui_pages import ui_pages
from tests.tracking.conftest import FakeSearch
from tests.tracking.trained_models import NAME, models, trained

ODD_NAMES = ["mein Lauf ü", "100%", "a%20b", "what?", "no #1", "runs2", "run", "x_y", "it's", "a&b=c+d"]

FILES_OF_TWO = 1 + 2 * (2 + 2 * 2)
"""The parent's config; of each child its genotype, a drawing, and both cells for charts, in two files."""
FILES_OF_ALL = FILES_OF_TWO + (2 + 2 * 2) + 2
"""The fourth child has failed, and no pictures for the charts."""


def put_store(empty_store: Path, runs: Path) -> Path:
    runs.mkdir(parents=True)
    return Path(shutil.copy(empty_store, runs / "mlflow.db"))


@pytest.fixture
def begun(empty_store: Path, tmp_path: Path) -> FakeSearch:
    """A search that was interrupted after two of its four children."""
    search = FakeSearch(put_store(empty_store, tmp_path / "old" / "runs"))
    (search.store.parent / "out").mkdir()
    (search.store.parent / "out" / JOURNAL_FILE).write_text('{"kind": "started", "run_id": "run-1"}\n')
    tracker = search.open()
    search.finish(search.run(tracker), 2)
    tracker.close("KILLED")
    return search


def moved(search: FakeSearch, runs: Path) -> FakeSearch:
    runs.parent.mkdir(parents=True, exist_ok=True)
    search.store.parent.rename(runs)
    return replace(search, store=runs / search.store.name)


def copied(search: FakeSearch, runs: Path) -> FakeSearch:
    shutil.copytree(search.store.parent, runs)
    return replace(search, store=runs / search.store.name)


def files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def columns(store: Path) -> list[str]:
    """All that a store holds about places."""
    places = [*moved_store.ARTIFACT_COLUMNS, ("tags", "value")]
    with sqlalchemy.create_engine(sqlite_uri(store)).connect() as connection:
        return [
            str(value)
            for table, column in places
            for (value,) in connection.exec_driver_sql(f"SELECT {column} FROM {table} ORDER BY rowid")
        ]


def change(store: Path, statement: str, *values: Any) -> None:
    with sqlalchemy.create_engine(sqlite_uri(store)).begin() as connection:
        connection.exec_driver_sql(statement, values)


def pages(search: FakeSearch) -> dict[str, bytes]:
    """The files of all MLflow runs, read where MLflow finds them."""
    client = MlflowClient(sqlite_uri(search.store))
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    found: dict[str, bytes] = {}
    for run in runs:
        folder = Path(local_file_uri_to_path(run.info.artifact_uri))
        assert folder.is_relative_to(search.store.parent)
        found |= {f"{run.info.run_name}/{path}": content for path, content in files(folder).items()}
    return found


def resumed(search: FakeSearch) -> FakeSearch:
    tracker = search.open()
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 0
    return search


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD_NAMES)
def test_s3_a_moved_folder_is_written_and_read_where_it_lies_now(begun, tmp_path, caplog, name):
    there = moved(begun, tmp_path / "old" / name)
    assert len(pages(resumed(there))) == FILES_OF_ALL
    assert not begun.store.parent.exists()
    assert not [text for text in columns(there.store) if str(begun.store.parent) + "/" in f"{text}/"]
    (warning,) = warnings(caplog)
    assert str(there.store.parent) in warning
    assert str(begun.store.parent) in warning
    assert "\n" not in warning


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD_NAMES)
def test_s3_a_copy_is_written_in_the_copy_and_the_original_stays_as_it_is(begun, tmp_path, name):
    before = files(begun.store.parent)
    there = copied(begun, tmp_path / "old" / name)
    assert len(pages(resumed(there))) == FILES_OF_ALL
    assert files(begun.store.parent) == before
    assert len(pages(begun)) == FILES_OF_TWO
    assert len(pages(resumed(begun))) == FILES_OF_ALL


def test_s3_a_folder_that_is_moved_again_and_back_is_as_it_was(begun, tmp_path):
    before = columns(begun.store)
    for place in (tmp_path / "a b" / "runs", tmp_path / "c", tmp_path / "old" / "runs"):
        begun = moved(begun, place)
        connect(sqlite_uri(begun.store))
    assert columns(begun.store) == before


def test_s3_a_new_store_where_the_old_one_was_is_left_alone(begun, empty_store, tmp_path):
    there = moved(begun, tmp_path / "kept")
    new = put_store(empty_store, begun.store.parent)
    before = files(new.parent)
    resumed(there)
    assert files(new.parent) == before


def test_s3_a_folder_in_which_an_earlier_version_wrote_after_a_move_follows_too(begun, tmp_path):
    there = moved(begun, tmp_path / "new")
    (begun.store.parent / "mlartifacts" / "0123").mkdir(parents=True)
    connect(sqlite_uri(there.store))
    assert len(pages(there)) == FILES_OF_TWO


@pytest.mark.parametrize("as_text", ["file", "path", "host", "slash"])
def test_s3_however_a_location_is_written_it_follows(begun, tmp_path, as_text):
    spelt: Callable[[str], str] = {
        "file": lambda uri: uri,
        "path": local_file_uri_to_path,
        "host": lambda uri: uri.replace("file://", "file://localhost"),
        "slash": lambda uri: f"{uri}/",
    }[as_text]
    change(
        begun.store,
        "UPDATE experiments SET artifact_location = ? WHERE name = 'nas'",
        spelt((begun.store.parent / "mlartifacts").as_uri()),
    )
    there = moved(begun, tmp_path / "b ü")
    assert len(pages(resumed(there))) == FILES_OF_ALL
    assert not begun.store.parent.exists()


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_s3_a_link_to_the_same_folder_or_store_is_no_move(begun, tmp_path, caplog, kind):
    before = columns(begun.store)
    if kind == "folder":
        (tmp_path / "link").symlink_to(begun.store.parent)
        place = tmp_path / "link" / "mlflow.db"
    else:
        (tmp_path / "linked").mkdir()
        place = tmp_path / "linked" / "mlflow.db"
        place.symlink_to(begun.store)
    connect(sqlite_uri(place))
    assert columns(begun.store) == before
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "location",
    ["s3://bucket/mlartifacts", "gs://b/x/mlartifacts", "mlflow-artifacts:/1", "TMP/team/mlartifacts",
     "file://TMP/team/mlartifacts", "TMP/team", "TMP/old/runs2/mlartifacts"],
)  # fmt: skip
def test_s3_a_place_that_somebody_chose_stays(begun, tmp_path, location):
    location = location.replace("TMP", str(tmp_path))
    for folder in ("team/mlartifacts", "old/runs2/mlartifacts"):
        (tmp_path / folder).mkdir(parents=True)
    client = MlflowClient(sqlite_uri(begun.store))
    theirs = client.create_experiment("theirs", artifact_location=location)
    run = client.create_run(theirs, tags={moved_store.FOLDER_TAG: "/elsewhere/runs/one"})
    there = moved(begun, tmp_path / "old" / "moved")
    client = connect(sqlite_uri(there.store))
    assert client.get_experiment(theirs).artifact_location == location
    assert client.get_run(run.info.run_id).info.artifact_uri == run.info.artifact_uri
    assert client.get_run(run.info.run_id).data.tags[moved_store.FOLDER_TAG] == "/elsewhere/runs/one"
    assert client.get_experiment_by_name("nas").artifact_location.startswith(there.store.parent.as_uri())


def test_s3_a_store_that_was_moved_away_from_its_artifacts_still_leads_to_them(begun, tmp_path, caplog):
    (tmp_path / "new").mkdir()
    begun.store.rename(tmp_path / "new" / "mlflow.db")
    before = columns(tmp_path / "new" / "mlflow.db")
    connect(sqlite_uri(tmp_path / "new" / "mlflow.db"))
    assert columns(tmp_path / "new" / "mlflow.db") == before
    assert warnings(caplog) == []


def test_s3_of_two_processes_at_once_one_says_it(begun, tmp_path, caplog):
    there = moved(begun, tmp_path / "new")
    meet = threading.Barrier(4)
    connect_uri = sqlite_uri(there.store)

    def follow() -> None:
        meet.wait()
        moved_store.follow_its_folder(connect_uri, there.store)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(warnings(caplog)) == 1
    assert len(pages(there)) == FILES_OF_TWO


def test_s3_the_ui_lets_a_moved_store_follow(begun, tmp_path):
    there = moved(begun, tmp_path / "new")
    assert "/runs?" in ui_pages(there.store).runs
    assert len(pages(there)) == FILES_OF_TWO


def test_s3_a_moved_store_that_may_not_be_written_is_read_and_says_so(begun, tmp_path, monkeypatch, caplog):
    there = moved(begun, tmp_path / "new")
    before = there.store.read_bytes()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != there.store and access(path, mode))
    assert "/runs?" in ui_pages(there.store).runs
    (warning,) = warnings(caplog)
    assert "may not be written" in warning
    assert str(begun.store.parent) in warning
    assert there.store.read_bytes() == before


def test_s3_a_run_that_was_moved_without_its_store_is_gone_on_with_and_names_its_new_folder(begun, tmp_path):
    (begun.store.parent / "out").rename(tmp_path / "there")
    tracking = begun.page().tracking.model_copy(update={"uri": sqlite_uri(begun.store)})
    tracker = begun.open(folder=tmp_path / "there", tracking=tracking)
    begun.finish(begun.run(tracker))
    tracker.close("FINISHED")
    assert len(pages(begun)) == FILES_OF_ALL
    assert begun.parent.data.tags[moved_store.FOLDER_TAG] == str(tmp_path / "there")


def test_s3_a_run_that_was_copied_beside_itself_gets_pages_of_its_own(begun):
    shutil.copytree(begun.store.parent / "out", begun.store.parent / "second")
    (original,) = begun.mlflow_runs("search")
    before = pages(begun)
    events = list(begun.journal.events)
    tracker = begun.open(folder=begun.store.parent / "second")
    begun.finish(begun.run(tracker))
    tracker.close("FINISHED")
    first, second = sorted(begun.mlflow_runs("search"), key=lambda run: run.info.run_name != "out")
    assert (second.info.run_name, second.info.status) == ("second", "FINISHED")
    assert first.data.metrics == original.data.metrics
    assert (first.info.status, first.data.tags) == ("KILLED", original.data.tags)
    assert {name: text for name, text in pages(begun).items() if name in before} == before
    parents = [child.data.tags["mlflow.parentRunId"] for child in begun.children]
    assert (parents.count(first.info.run_id), parents.count(second.info.run_id)) == (2, 4)
    # Both go on, each with its own.
    begun.journal.events[:] = events
    again = begun.open()
    assert again.mlflow_run_id == first.info.run_id
    again.close("KILLED")


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_s3_registered_models_are_loaded_from_where_they_lie_now(empty_store, tmp_path, monkeypatch, how):
    store = put_store(empty_store, tmp_path / "old" / "runs")
    folders = models(tmp_path / "training")
    registered = trained(store, folders).registered
    new = tmp_path / "neuer Ort ü" / "runs"
    shutil.copytree(store.parent, new)
    before = files(store.parent)
    if how == "moved":
        shutil.rmtree(store.parent)
    assert trained(new / "mlflow.db", folders).registered == registered
    if how == "copied":
        assert files(store.parent) == before
        shutil.rmtree(store.parent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(new / "mlflow.db"))
    images = np.zeros((2, 8, 8, 3), np.uint8)
    for alias in ("best", "last"):
        assert mlflow.pyfunc.load_model(f"models:/{NAME}@{alias}").predict(images).shape == (2, 4)
    assert not store.parent.exists() or how == "copied"
    assert not [text for text in columns(new / "mlflow.db") if str(store.parent) in text]
    # A training that is registered after the move lies there too.
    assert trained(new / "mlflow.db", folders, run_id="t2").registered.versions == {"best": 3, "last": 4}
    assert mlflow.pyfunc.load_model(f"models:/{NAME}@best").predict(images).shape == (2, 4)


def test_s3_a_store_that_lies_where_it_was_made_says_nothing(finished_search, caplog):
    before = columns(finished_search.store)
    connect(sqlite_uri(finished_search.store))
    assert columns(finished_search.store) == before
    assert warnings(caplog) == []
