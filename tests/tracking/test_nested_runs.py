"""One tree in MLflow: a search, the promotion of its cells, the training of one of them, and a detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raynas.run.events import Origin
from raynas.tracking.config import TrackingConfig
from tests.tracking.trained_models import open_tracker

SEARCH = Origin(run_id="run-1", folder="runs/search")
PROMOTION = {"run_id": "run-2", "origin": SEARCH}


def promote(search: Any, **changes: Any) -> str:
    """A promotion that is over; its MLflow run."""
    tracker = search.open(**(PROMOTION | changes))
    tracker.close("FINISHED")
    return str(tracker.mlflow_run_id)


def train(search: Any, origin: Origin | None, **changes: Any) -> dict[str, str]:
    """A training that is over; its tags."""
    tracker = open_tracker(search.store, origin=origin, **changes)
    tracker.close("FINISHED")
    tags: dict[str, str] = search.client.get_run(tracker.mlflow_run_id).data.tags
    return tags


def test_a_promotion_is_nested_in_its_search(finished_search: Any) -> None:
    search_run = finished_search.parent.info.run_id
    tags = finished_search.client.get_run(promote(finished_search)).data.tags
    assert tags["mlflow.parentRunId"] == search_run
    assert (tags["raynas.promoted_from"], tags["raynas.run_id"]) == ("run-1", "run-2")


def test_a_training_is_nested_in_the_run_that_its_cell_is_from(finished_search: Any) -> None:
    search_run, promotion_run = finished_search.parent.info.run_id, promote(finished_search)
    tags = train(finished_search, Origin(run_id="run-1", folder="runs/search", child=2))
    assert tags["mlflow.parentRunId"] == search_run
    assert (tags["raynas.trained_from"], tags["raynas.child"]) == ("run-1", "2")
    tags = train(finished_search, Origin(run_id="run-2", folder="runs/longer", child=0), run_id="t2")
    assert tags["mlflow.parentRunId"] == promotion_run


def test_a_detector_is_nested_in_the_training_that_its_weights_are_from(finished_search: Any) -> None:
    classifier = open_tracker(finished_search.store, origin=SEARCH)
    classifier.close("FINISHED")
    weights = Origin(run_id="t1", folder=str(finished_search.store.parent / "final"))
    tags = train(finished_search, weights, run_id="t2", folder=finished_search.store.parent / "detector")
    assert tags["mlflow.parentRunId"] == classifier.mlflow_run_id
    assert tags["raynas.trained_from"] == "t1" and "raynas.child" not in tags


def test_what_is_nested_is_not_taken_for_a_child_of_the_search(finished_search: Any) -> None:
    before = [run.info.run_id for run in finished_search.children]
    promote(finished_search)
    train(finished_search, Origin(run_id="run-1", folder="runs/search", child=2))
    tracker = finished_search.open()
    finished_search.finish(finished_search.run(tracker))
    assert tracker.close("FINISHED") == 0
    assert [run.info.run_id for run in finished_search.children] == before


@pytest.mark.parametrize("experiment", ["nas", "another"])
def test_a_source_that_is_unknown_or_elsewhere_is_named_all_the_same(
    finished_search: Any, experiment: str
) -> None:
    source = "run-1" if experiment == "another" else "run-0"
    origin = SEARCH.model_copy(update={"run_id": source, "child": 1})
    run = finished_search.client.get_run(
        promote(finished_search, tracking=TrackingConfig(experiment=experiment), origin=origin)
    )
    assert run.data.tags["raynas.promoted_from"] == source
    assert "mlflow.parentRunId" not in run.data.tags
    tags = train(finished_search, origin, tracking=TrackingConfig(experiment=experiment))
    assert tags["raynas.trained_from"] == source
    assert "mlflow.parentRunId" not in tags


def test_a_cell_from_no_run_leads_nowhere(finished_search: Any) -> None:
    tags = train(finished_search, None)
    assert not tags.keys() & {"mlflow.parentRunId", "raynas.trained_from", "raynas.child"}


def test_a_resume_stays_where_it_was(finished_search: Any, store: Path) -> None:
    before = finished_search.client.get_run(promote(finished_search)).data.tags
    assert finished_search.client.get_run(promote(finished_search)).data.tags == before
    origin = Origin(run_id="run-1", folder="runs/search", child=2)
    assert train(finished_search, origin) == train(finished_search, origin)
