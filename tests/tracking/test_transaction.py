"""A child that is written in one transaction is what MLflow's client would have made of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from raynas.tracking import search_runs
from raynas.tracking.child_page import ChildPage, metric, param
from raynas.tracking.search_runs import SearchRuns
from raynas.tracking.transaction import child_transaction
from tests.tracking.conftest import FakeSearch


def child(number: int, **changes: Any) -> ChildPage:
    page = ChildPage(
        child=number,
        name=f"0.5 child {number}",
        tags={"raynas.kind": "child", "raynas.child": str(number)},
        params=[param("op", "identity"), param("depth", 3)],
        metrics=[],
        artifacts={"genotype.json": "{}", "images/cell.png": b"PNG"},
        status="FINISHED",
        start_ms=1000,
        end_ms=2000,
    )
    return dataclasses.replace(page, **changes)


def shown(search: FakeSearch) -> list[str]:
    """All that MLflow has of the children, as JSON, but for what is another in every store."""
    found = []
    for run in search.children:
        tags = {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"}
        info = {
            key: value
            for key, value in dict(run.info).items()
            if key not in ("run_id", "run_uuid", "artifact_uri")
        }
        curves = {
            key: [dict(point) | {"run_id": None} for point in points]
            for key in run.data.metrics
            for points in [search.client.get_metric_history(run.info.run_id, key)]
        }
        files = sorted(path.path for path in search.client.list_artifacts(run.info.run_id))
        folder = Path(run.info.artifact_uri.removeprefix(str(search.store.parent))).name
        whole: dict[str, Any] = {
            "tags": tags,
            "info": info,
            "params": run.data.params,
            "metrics": run.data.metrics,
        }
        whole |= {"curves": curves, "files": files, "folder": folder}
        found.append(json.dumps(whole, sort_keys=True))
    return found


def points(*triples: tuple[float, int, float]) -> list[Metric]:
    return [metric("loss", value, step=step, time=time) for value, step, time in triples]


def test_a_transaction_writes_what_the_requests_write(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [
        child(0, metrics=points((1.0, 1, 5.0), (0.5, 2, 6.0), (0.5, 2, 6.0), (0.7, 2, 6.0))),
        child(1, metrics=points((float("nan"), 1, 5.0), (float("inf"), 2, 6.0)), status="FAILED"),
        child(2, params=[], metrics=points((-float("inf"), 3, 6.0), (4.0, 1, 9.0))),
    ]
    views = []
    for name in ("at once", "by requests"):
        (tmp_path / name).mkdir()
        search = FakeSearch(Path(shutil.copy(empty_store, tmp_path / name / "mlflow.db")))
        if name == "by requests":
            monkeypatch.setattr(search_runs, "child_transaction", lambda client, experiment: None)
        runs = SearchRuns(search.page())
        for page in pages:
            runs.write_child(page)
        views.append(shown(search))
    assert len(views[0]) == 3
    assert views[0] == views[1]


def test_a_transaction_that_fails_leaves_nothing_and_is_tried_again(
    search: FakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = SearchRuns(search.page())
    with monkeypatch.context() as patch:
        fail_at_the_third_table(patch)
        with pytest.raises(MlflowException):
            runs.write_child(child(0))
    assert search.children == [] and not runs.has(0)
    runs.write_child(child(0))
    assert len(search.children) == 1 and runs.has(0)


def test_a_transaction_whose_answer_got_lost_makes_no_second_run(
    search: FakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = SearchRuns(search.page())
    transaction = runs._transaction
    assert transaction is not None
    with monkeypatch.context() as patch:

        class Lossy:
            def write(self, *arguments: Any) -> None:
                transaction.write(*arguments)
                raise OSError("connection reset")

        patch.setattr(runs, "_transaction", Lossy())
        with pytest.raises(OSError, match="reset"):
            runs.write_child(child(0))
    runs.write_child(child(0))
    assert len(search.children) == 1 and runs.has(0)


def test_a_run_that_an_earlier_driver_began_is_gone_on_with(search: FakeSearch) -> None:
    runs = SearchRuns(search.page())
    tags = {"mlflow.parentRunId": runs.parent_id, **child(0).tags}
    begun = search.client.create_run(runs.experiment_id, tags=tags).info.run_id
    again = SearchRuns(search.page())
    assert not again.has(0)
    again.write_child(child(0))
    (run,) = search.children
    assert (run.info.run_id, run.info.status) == (begun, "FINISHED")
    assert run.data.params == {"op": "identity", "depth": "3"}


def fail_at_the_third_table(patch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.orm import Session

    original, left = Session.execute, iter(["PRAGMA"] * 3 + ["runs", "tags"])

    def execute(self: Session, *arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise OperationalError("INSERT", {}, Exception("disk I/O error"))
        return original(self, *arguments, **options)

    patch.setattr(Session, "execute", execute)


def test_artifacts_that_must_be_uploaded_are_written_by_requests(search: FakeSearch) -> None:
    client: MlflowClient = search.client
    experiment = client.create_experiment("far", artifact_location="s3://bucket/folder")
    assert child_transaction(client, experiment) is None
