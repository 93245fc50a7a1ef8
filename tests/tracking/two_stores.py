"""One search that two trackers hear of, and all that a store holds, to be compared."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from raynas.run.journal import Journal
from raynas.run.run import Run
from raynas.tracking.search_tracker import SearchTracker
from tests.tracking.conftest import made_up_result


@dataclass
class TwiceTracked:
    """One search with two trackers: the store of one is always there, that of the other is taken away."""

    folder: Path
    other_store: Path
    run: Run
    journal: Journal
    undisturbed: SearchTracker
    tracker: SearchTracker

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder.parent / 'mlflow.db'}"

    @property
    def wanted(self) -> Any:
        return content(f"sqlite:///{self.other_store}")

    @property
    def found(self) -> Any:
        return content(self.uri)

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
    return {run.info.run_name: page(client, run, names) for run in runs}


def page(client: MlflowClient, run: Any, names: dict[str, str]) -> dict[str, Any]:
    parent = run.data.tags.get("mlflow.parentRunId")
    id = run.info.run_id
    return {
        "status": run.info.status,
        "began": run.info.start_time,
        "ended": run.info.end_time if parent else None,
        "params": run.data.params,
        "tags": run.data.tags | {"mlflow.parentRunId": names.get(parent)},
        "metrics": {key: points(client, id, key) for key in run.data.metrics},
        "artifacts": {
            file.path: Path(client.download_artifacts(id, file.path)).read_text()
            for file in client.list_artifacts(id)
        },
    }


def points(client: MlflowClient, id: str, key: str) -> list[tuple[int, float, int]]:
    history = client.get_metric_history(id, key)
    return sorted((point.step, point.value, point.timestamp) for point in history)


def fails(
    monkeypatch: pytest.MonkeyPatch, search: TwiceTracked, methods: tuple[str, ...], error: Any
) -> None:
    """These requests to the one store raise from now on."""
    for name in methods:
        original = getattr(MlflowClient, name)

        def method(self: MlflowClient, *args: Any, original: Any = original, **words: Any) -> Any:
            if self.tracking_uri == search.uri:
                raise error
            return original(self, *args, **words)

        monkeypatch.setattr(MlflowClient, name, method)
