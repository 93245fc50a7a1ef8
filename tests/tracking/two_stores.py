"""One search with two trackers, and all that a store holds, to be compared."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from raynas.run.journal import Journal
from raynas.run.run import Run
from raynas.tracking.search_tracker import SearchTracker
from tests.tracking.conftest import made_up_result


@dataclass
class TwoStores:
    """The folder of a search, the store beside it that was away, and one that was always there."""

    folder: Path
    other_store: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder.parent / 'mlflow.db'}"

    @property
    def wanted(self) -> Any:
        return content(f"sqlite:///{self.other_store}")

    @property
    def found(self) -> Any:
        return content(self.uri)

    def copied(self, old: Path, new: Path) -> TwoStores:
        """All of it, which is below `old`, in a new folder: MLflow has absolute paths of its artifacts."""
        shutil.copytree(old, new)
        copy = TwoStores(new / self.folder.relative_to(old), new / self.other_store.relative_to(old))
        for uri in (copy.uri, f"sqlite:///{copy.other_store}"):
            with sqlalchemy.create_engine(uri).begin() as connection:
                for place in ("experiments.artifact_location", "runs.artifact_uri", "tags.value"):
                    table, column = place.split(".")
                    connection.exec_driver_sql(
                        f"update {table} set {column} = replace({column}, ?, ?)", (str(old), str(new))
                    )
        return copy


@dataclass
class TwiceTracked(TwoStores):
    """A search that goes on, with a tracker for each of the two stores."""

    run: Run
    journal: Journal
    undisturbed: SearchTracker
    tracker: SearchTracker

    def finish(self, count: int) -> None:
        for _ in range(count):
            child = self.run.next_child()
            assert child is not None
            self.run.finish(child.id, made_up_result(replace(child, id=child.id % 7)))

    def wait_until_written(self) -> None:
        ends = time.monotonic() + 60
        while self.tracker._unwritten or self.tracker._points:
            assert time.monotonic() < ends
            time.sleep(0.01)

    def end(self, status: str) -> None:
        """As a driver does; the store that is away is not waited for."""
        self.run.close()
        assert self.undisturbed.close(status) == 0
        self.tracker.close(status, timeout=0)
        self.journal.close()


def content(uri: str) -> Any:
    """All that a store holds, by the runs' names, but for when the parent ended."""
    client = MlflowClient(uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    assert len(set(names.values())) == len(runs), "a run is there twice"
    curves = points(uri)
    return {run.info.run_name: page(run, names, curves[run.info.run_id]) for run in runs}


def page(run: Any, names: dict[str, str], curves: dict[str, Any]) -> dict[str, Any]:
    parent = run.data.tags.get("mlflow.parentRunId")
    artifacts = Path(local_file_uri_to_path(run.info.artifact_uri))
    return {
        "status": run.info.status,
        "began": run.info.start_time,
        "ended": run.info.end_time if parent else None,
        "params": run.data.params,
        "tags": run.data.tags | {"mlflow.parentRunId": names.get(parent)},
        "metrics": curves,
        "artifacts": {
            name_of(path, artifacts): path.read_bytes() for path in artifacts.rglob("*") if path.is_file()
        },
    }


def name_of(path: Path, artifacts: Path) -> str:
    """An artifact's name, without the time and the random number in those of a chart's pictures."""
    name = str(path.relative_to(artifacts))
    return name.partition("%")[0] + path.suffix if name.startswith("images/") else name


def points(uri: str) -> dict[str, dict[str, list[tuple[int, float, int]]]]:
    """Step, value and time of all points, by run and key; the client would ask once for each curve."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(list))
    with sqlalchemy.create_engine(uri).connect() as connection:
        rows = connection.exec_driver_sql(
            "select run_uuid, key, step, value, timestamp from metrics order by step, value, timestamp"
        )
        for run, key, *point in rows:
            found[run][key].append(tuple(point))
    return found


def fails(monkeypatch: pytest.MonkeyPatch, search: TwoStores, methods: tuple[str, ...], error: Any) -> None:
    """These requests to the one store raise from now on."""
    for name in methods:
        original = getattr(MlflowClient, name)

        def method(self: MlflowClient, *args: Any, original: Any = original, **words: Any) -> Any:
            if self.tracking_uri == search.uri:
                raise error
            return original(self, *args, **words)

        monkeypatch.setattr(MlflowClient, name, method)
