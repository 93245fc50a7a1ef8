"""S8: the experiment and the run that the environment names are respected, as MLflow's own clients do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raynas.errors import UsageError
from raynas.run.events import Origin
from raynas.tracking.config import TrackingConfig
from raynas.tracking.experiment import check_store
from tests.tracking.trained_models import open_tracker

UNSET = {"tracking": TrackingConfig()}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The artifacts of an experiment that a client makes lie below the current folder.
    monkeypatch.chdir(tmp_path)


def experiment_of(search: Any, tracker: Any) -> str:
    tracker.close("FINISHED")
    run = search.client.get_run(tracker.mlflow_run_id)
    return str(search.client.get_experiment(run.info.experiment_id).name)


def test_s8_the_experiments_name_is_respected(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert experiment_of(search, search.open(**UNSET)) == "raynas"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert experiment_of(search, search.open(**UNSET, run_id="r2")) == "mine"
    assert experiment_of(search, open_tracker(search.store, **UNSET)) == "mine"
    assert experiment_of(search, search.open(run_id="r3")) == "nas"


def test_s8_the_id_goes_before_the_name(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", search.client.create_experiment("by number"))
    assert experiment_of(search, search.open(**UNSET)) == "by number"


def test_s8_a_resume_goes_on_where_the_run_was_begun(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    first = search.open(**UNSET)
    assert experiment_of(search, first) == "mine"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    second = search.open(**UNSET)
    assert (experiment_of(search, second), second.mlflow_run_id) == ("mine", first.mlflow_run_id)


@pytest.fixture
def given(search: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run as `mlflow run` makes it, with a param that is raynas's too."""
    experiment = search.client.create_experiment("nas")
    run = search.client.create_run(experiment, run_name="platform")
    search.client.log_param(run.info.run_id, "seed", "given by mlflow run")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    return str(run.info.run_id)


def test_s8_the_run_that_is_given_becomes_the_searchs(search: Any, given: str) -> None:
    tracker = search.open(**UNSET)
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 0
    parent = search.parent
    assert (parent.info.run_id, parent.info.run_name, parent.info.status) == (given, "platform", "FINISHED")
    assert parent.data.params["seed"] == "given by mlflow run"
    assert {run.data.tags["mlflow.parentRunId"] for run in search.children} == {given}
    assert search.open(**UNSET).mlflow_run_id == given


def test_s8_what_follows_in_the_same_run_is_nested_in_it(search: Any, given: str) -> None:
    assert search.open(**UNSET).mlflow_run_id == given
    training = open_tracker(search.store, **UNSET, origin=Origin(run_id="elsewhere", folder="runs/x"))
    training.close("FINISHED")
    assert training.mlflow_run_id != given
    tags = search.client.get_run(training.mlflow_run_id).data.tags
    assert (tags["mlflow.parentRunId"], tags["raynas.trained_from"]) == (given, "elsewhere")


@pytest.mark.parametrize("name", ["MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"])
@pytest.mark.parametrize("value", ["nowhere", "99", "a/b", "x" * 300, "\N{SNOWMAN}"])
def test_s8_a_bad_value_is_named_before_anything_starts(
    search: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    for use in (lambda: search.open(**UNSET), lambda: check_store(None, search.store)):
        with pytest.raises(UsageError, match=f"{name} = ") as caught:
            use()
        assert value in str(caught.value)
    check_store(None, search.store, "nas")
    monkeypatch.setenv(name, " ")
    assert check_store(None, search.store)


def test_s8_deleted_ones_are_named(search: Any, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    search.client.delete_run(given)
    with pytest.raises(UsageError, match=f"mlflow runs restore --run-id {given}"):
        check_store(None, search.store)
    monkeypatch.delenv("MLFLOW_RUN_ID")
    number = search.client.create_experiment("gone")
    search.client.delete_experiment(number)
    for name, value in {"MLFLOW_EXPERIMENT_NAME": "gone", "MLFLOW_EXPERIMENT_ID": number}.items():
        monkeypatch.setenv(name, value)
        with pytest.raises(UsageError, match=f"mlflow experiments restore -x {number}"):
            check_store(None, search.store)
