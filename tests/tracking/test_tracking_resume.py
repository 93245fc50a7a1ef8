"""No run twice: what a resumed search finds in MLflow, and what it adds."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from raynas.child import LimitsConfig
from raynas.nn import Complexity
from raynas.tracking import search_runs
from raynas.tracking.search_runs import SearchRuns
from raynas.tracking.writer import DeferredWriter

pytestmark = pytest.mark.usefixtures("by_requests")

WRITES = ("create_run", "log_batch", "log_artifacts", "set_terminated")


def resumed(search: Any, status: str = "FINISHED") -> int:
    tracker = search.open()
    search.finish(search.run(tracker))
    return int(tracker.close(status))


def everything(search: Any) -> Any:
    """All that MLflow holds of the search, but for when the parent ended."""
    return [
        (
            run.info.run_id,
            run.info.status,
            run.data.params,
            run.data.tags,
            {key: search.points(run, key) for key in run.data.metrics},
        )
        for run in [search.parent, *search.children]
    ]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the client was asked to write, and to search."""
    counts: Counter[str] = Counter()

    def counted(name: str, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return method(*args, **kwargs)

        return call

    for name in (*WRITES, "search_runs"):
        monkeypatch.setattr(MlflowClient, name, counted(name, getattr(MlflowClient, name)))
    return counts


def test_a_replayed_search_changes_nothing(finished_search: Any) -> None:
    before = everything(finished_search)
    assert resumed(finished_search) == 0
    assert everything(finished_search) == before


def test_replaying_complete_children_costs_no_request(finished_search: Any, requests: Counter[str]) -> None:
    tracker = finished_search.open()
    requests.clear()
    finished_search.run(tracker)
    tracker.close("FINISHED")
    assert requests == {"search_runs": 1, "set_terminated": 1}


def test_a_replay_does_not_repeat_the_number_of_refusals(search: Any) -> None:
    sizes = iter([9, 8, 8, 9, 9, 8, 9, 8])
    search.limits, search.measure = LimitsConfig(parameters=8), lambda genotype: Complexity(next(sizes), 1, 1)
    search.num_children = 3
    assert resumed(search) == 0
    before = everything(search)
    assert resumed(search) == 0
    assert everything(search) == before
    search.num_children = 4
    assert resumed(search) == 0
    assert search.points(search.parent, "children_infeasible") == [(1, 1), (2, 1), (3, 3), (4, 4)]
    assert len(search.children) == 4


def test_a_replay_does_not_repeat_the_controller_s_curves(search: Any) -> None:
    search.strategy, search.options = "ppo", {"batch_size": 1, "hidden_units": 4}
    assert resumed(search) == 0
    search.num_children = 8
    assert resumed(search) == 0
    assert [step for step, _ in search.points(search.parent, "kl")] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in search.points(search.parent, "children_finished")] == list(range(1, 9))


def test_the_points_of_a_step_are_in_one_request(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[list[tuple[str, int]]] = []
    monkeypatch.setattr("raynas.tracking.search_tracker.ENOUGH_POINTS", 3)
    tracker = search.open(writer=DeferredWriter())
    search.finish(search.run(tracker))
    original = SearchRuns.write_points

    def write_points(self: SearchRuns, points: Any) -> None:
        requests.append([(point.key, point.step) for point in points])
        original(self, points)

    monkeypatch.setattr(SearchRuns, "write_points", write_points)
    assert tracker.close("FINISHED") == 0
    steps = [[(key, step) for key in ("children_finished", "best_accuracy")] for step in range(1, 5)]
    assert requests == [steps[0] + steps[1], steps[2] + steps[3]]


def test_a_longer_search_goes_on_in_the_same_runs(finished_search: Any) -> None:
    finished_search.num_children = 6
    finished_search.config["num_children"] = 6
    first = [run.info.run_id for run in finished_search.children]
    assert resumed(finished_search) == 0
    assert [run.info.run_id for run in finished_search.children][:4] == first
    assert len(finished_search.children) == 6


def test_a_changed_config_does_not_break_the_resume(finished_search: Any) -> None:
    finished_search.config["seed"] = 1
    assert resumed(finished_search) == 0
    assert finished_search.parent.data.params["seed"] == "0"
    assert '"seed": 1' in finished_search.artifact(finished_search.parent, "config.json")


def test_a_resumed_parent_is_running(search: Any) -> None:
    search.open().close("KILLED")
    tracker = search.open()
    assert search.parent.info.status == "RUNNING"
    tracker.close("FINISHED")


def test_another_search_in_the_experiment_has_a_parent_of_its_own(finished_search: Any) -> None:
    tracker = finished_search.open(run_id="run-2")
    assert tracker.mlflow_run_id != finished_search.mlflow_runs("search")[-1].info.run_id
    tracker.close("FINISHED")
    assert len(finished_search.mlflow_runs("search")) == 2


def test_children_are_found_over_several_pages(finished_search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_runs, "PAGE_SIZE", 3)
    resumed(finished_search)
    assert len(finished_search.children) == 4


def test_children_that_were_never_written_are_filled_in(search: Any) -> None:
    tracker = search.open()
    run = search.run(tracker)
    search.finish(run, 1)
    tracker.close("KILLED")
    search.finish(run)
    assert len(search.children) == 1
    assert resumed(search) == 0
    assert len(search.children) == 4
    assert [step for step, _ in search.points(search.parent, "children_finished")] == [1, 2, 3, 4]


@pytest.mark.parametrize("method", ["log_batch", "set_terminated"])
def test_a_half_written_child_is_completed_in_its_own_run(
    search: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    tracker, tried = search.open(), threading.Event()

    def dies(*_: Any, **__: Any) -> None:
        tried.set()
        raise MlflowException("the driver is gone")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, method, dies)
        search.finish(search.run(tracker), 1)
        assert tried.wait(30)
        assert tracker.close("KILLED", timeout=0) == 1
    (half,) = search.children
    assert half.info.status == "RUNNING"
    assert resumed(search) == 0
    assert search.children[0].info.run_id == half.info.run_id
    assert [run.info.status for run in search.children] == ["FINISHED", "FINISHED", "FINISHED", "FAILED"]
    assert search.points(search.children[0], "accuracy") == [(1, 0.1), (2, 0.2), (3, 0.3)]
