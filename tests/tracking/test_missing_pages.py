"""S7: what MLflow lacks at the end of a search or a training is counted and said, with what adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.tracking.test_tracking_outage import OUTAGE, failing
from tests.tracking.trained_models import open_tracker

pytestmark = pytest.mark.usefixtures("by_requests")


def test_s7_missing_children_are_counted_with_the_way_out(
    search: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = search.open()
    search.finish(search.run(tracker), 1)
    failing(monkeypatch, "set_terminated", OUTAGE, 10**9)
    assert tracker.close("KILLED", timeout=0.1) == 1
    text = caplog.messages[-1]
    assert "lacks 1 of 1 children" in text and "the status KILLED" in text
    assert f"raynas sync {search.store.parent / 'out'}" in text


def test_s7_a_complete_search_says_nothing(finished_search: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert caplog.messages == []


def test_s7_missing_epochs_are_counted_and_a_resume_adds_them(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = open_tracker(store)
    with monkeypatch.context() as patch:
        failing(patch, "log_batch", OUTAGE, 10**9)
        for epoch in (1, 2, 3):
            tracker.epoch_done(epoch, {"top1": epoch / 10})
        tracker.close("FINISHED", timeout=0.1)
    assert "lacks 3 of the epochs" in caplog.messages[-1]
    assert f"raynas train --out {store.parent / 'final'} --resume" in caplog.messages[-1]
    for epochs in ((3,), (1, 2, 3)):
        resumed = open_tracker(store)
        for epoch in epochs:
            resumed.epoch_done(epoch, {"top1": epoch / 10})
        resumed.close("FINISHED")
    history = MlflowClient(f"sqlite:///{store}").get_metric_history(tracker.mlflow_run_id, "top1")
    assert sorted(point.step for point in history) == [1, 2, 3]
