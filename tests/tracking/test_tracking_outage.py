"""A store that fails, from the start or in the middle: the search goes on, and nobody sees a password."""

from __future__ import annotations

import logging
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from raynas.config import without_credentials
from raynas.errors import UsageError
from raynas.tracking import store as store_module
from raynas.tracking.experiment import check_store

pytestmark = pytest.mark.usefixtures("by_requests")

OUTAGE = MlflowException("API request to http://me:secret@host/api failed")
REFUSAL = MlflowException("no such thing", error_code=INVALID_PARAMETER_VALUE)


def failing(
    monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, times: int, *, late: bool = False
) -> None:
    """`method` of the client raises the first `times` times; `late`: after having done its work."""
    original, failures = getattr(MlflowClient, method), iter(range(times))

    def fails(*args: Any, **kwargs: Any) -> Any:
        fails_now = next(failures, None) is not None
        if fails_now and not late:
            raise error
        result = original(*args, **kwargs)
        if fails_now:
            raise error
        return result

    monkeypatch.setattr(MlflowClient, method, fails)


@pytest.mark.parametrize("method", ["create_run", "log_batch", "set_terminated"])
def test_an_outage_is_waited_for(search: Any, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    tracker = search.open()
    failing(monkeypatch, method, OUTAGE, 20)
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 0
    assert (len(search.children), search.parent.info.status) == (4, "FINISHED")
    assert len(search.points(search.parent, "best_accuracy")) == 4


def test_a_request_that_failed_after_it_was_carried_out_makes_no_second_run(
    search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = search.open()
    failing(monkeypatch, "create_run", OUTAGE, 2, late=True)
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 0
    assert len(search.children) == 4


def test_a_child_that_mlflow_refuses_does_not_hold_up_the_others(
    search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, original = search.open(), MlflowClient.create_run

    def refuses_child_1(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        if kwargs["tags"].get("raynas.child") == "1":
            raise REFUSAL
        return original(self, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "create_run", refuses_child_1)
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 1
    assert [run.data.tags["raynas.child"] for run in search.children] == ["0", "2", "3"]


def test_a_store_that_stays_away_costs_the_search_two_warnings_and_no_time(
    search: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = search.open()
    for method in ("create_run", "log_batch", "set_terminated", "search_runs"):
        failing(monkeypatch, method, OUTAGE, 10**9)
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED", timeout=0.2) == 4
    assert tracker.close("FINISHED") == 4
    warning, end = [record for record in caplog.records if record.name == "raynas.tracking"]
    assert warning.levelno == end.levelno == logging.WARNING
    assert "lacks 4 of 4 children" in end.getMessage()
    assert "http://host/api failed" in warning.getMessage()
    assert "secret" not in warning.getMessage()


def test_a_closed_tracker_hears_nothing(search: Any) -> None:
    tracker = search.open()
    run = search.run(tracker)
    tracker.close("KILLED")
    search.finish(run)
    assert (tracker.close("KILLED"), search.children) == (0, [])


def test_a_server_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UsageError) as caught:
            check_store(f"http://me:secret@{address}", tmp_path / "mlflow.db")
    message = str(caught.value)
    assert f"http://{address}" in message
    assert "refused" in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("sqlite:////proc/nowhere/mlflow.db", "No such file"),
        ("nonsense://host", "nonsense"),
        ("postgresql+nodriver://me:se/cr@et@host/db", "nodriver"),
    ],
)
def test_a_uri_that_is_of_no_use_is_a_usage_error(uri: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        check_store(uri, tmp_path / "mlflow.db")
    assert without_credentials(uri) in str(caught.value)


def test_a_file_that_is_no_database_is_a_usage_error_at_opening(search: Any) -> None:
    search.store.write_text("not a database, not at all")
    with pytest.raises(UsageError, match="not a database"):
        search.open()


def test_a_deleted_experiment_is_a_usage_error(search: Any) -> None:
    search.open().close("FINISHED")
    client = search.client
    client.delete_experiment(client.get_experiment_by_name("nas").experiment_id)
    with pytest.raises(UsageError, match="mlflow experiments restore"):
        search.open()


def test_the_environment_names_the_store_unless_the_user_does(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    assert check_store(None, tmp_path / "other.db") == f"sqlite:///{store}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert check_store(f"sqlite:///{store}", tmp_path / "other.db") == f"sqlite:///{store}"
    assert not (tmp_path / "other.db").exists()


def test_the_default_store_is_named_by_its_whole_path(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    assert check_store(None, Path("mlflow.db")) == f"sqlite:///{store}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000/x", "http://host:5000/x"),
        ("https://token@host", "https://host"),
        ("see http://a:b@c and http://d:e@f.", "see http://c and http://f."),
        ("postgresql://me:se/cr@et@host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://127.0.0.1:5000/#/experiments/1", "http://127.0.0.1:5000/#/experiments/1"),
    ],
)
def test_credentials_are_not_shown(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_credentials_in_the_config_do_not_reach_mlflow(search: Any) -> None:
    search.config |= {"tracking": {"uri": "http://me:secret@host"}, "mirrors": ["s3://key:secret@bucket"]}
    search.open().close("FINISHED")
    assert search.parent.data.params["tracking.uri"] == "http://host"
    assert search.parent.data.params["mirrors"] == '["s3://bucket"]'
    assert "secret" not in search.artifact(search.parent, "config.json")


def test_nothing_is_printed(search: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tracker = search.open(folder=tmp_path / "new" / "x")
    search.finish(search.run(tracker))
    tracker.close("FINISHED")
    assert capfd.readouterr() == ("", "")


class Maker:
    """In the place of a client that makes the tables, seeing whether the store is there meanwhile."""

    def __init__(self, path: Path, error: Exception | None = None) -> None:
        self.path, self.error, self.was_there = path, error, False

    def __call__(self, tracking_uri: str) -> Maker:
        return self

    def search_experiments(self, max_results: int) -> None:
        self.was_there = self.was_there or self.path.exists()
        if self.error:
            raise self.error


def test_a_store_that_is_not_made_to_its_end_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker(tmp_path / "mlflow.db", RuntimeError("killed"))
    monkeypatch.setattr(store_module, "MlflowClient", maker)
    with pytest.raises(UsageError, match="killed"):
        store_module.connect(f"sqlite:///{maker.path}")
    assert not maker.was_there
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_another_makes_meanwhile_is_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    path = tmp_path / "mlflow.db"

    class Slow(Maker):
        def search_experiments(self, max_results: int) -> None:
            if not path.exists():
                shutil.copy(empty_store, path)

    monkeypatch.setattr(store_module, "MlflowClient", Slow(path))
    store_module.connect(f"sqlite:///{path}")
    assert path.read_bytes() == empty_store.read_bytes()
    assert list(tmp_path.iterdir()) == [path]
