"""What a search looks like in MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import raynas.run.failures
from raynas.cells.genotype import Genotype
from raynas.child import LimitsConfig
from raynas.config import flattened
from raynas.errors import SearchFailed
from raynas.nn import Complexity
from raynas.tracking.child_page import param


def test_each_child_is_nested_in_the_one_parent(read_only_search: Any) -> None:
    parent = read_only_search.parent
    parents = [run.data.tags["mlflow.parentRunId"] for run in read_only_search.children]
    assert parents == [parent.info.run_id] * 4


def test_child_is_named_by_accuracy_and_architecture(read_only_search: Any) -> None:
    ranks = ("0.3000", "0.4000", "0.5000", "failed")
    for number, (rank, run) in enumerate(zip(ranks, read_only_search.children, strict=True)):
        tags = run.data.tags
        assert run.info.run_name == f"{rank} {tags['raynas.arch_id'][:8]} child {number}"
        assert (tags["raynas.child"], tags["raynas.run_id"]) == (str(number), "run-1")


def test_child_has_its_decisions_as_params(read_only_search: Any) -> None:
    space, proposed = read_only_search.space, read_only_search.journal.events[0]
    params = read_only_search.children[0].data.params
    for decision, action in zip(space.decisions, proposed.actions, strict=True):
        assert params[decision.name] == str(decision.choices[action])
    assert params["status"] == "completed"
    assert params["arch_id"] == proposed.arch_id


def test_child_has_its_curve(read_only_search: Any) -> None:
    run = read_only_search.children[1]
    assert read_only_search.points(run, "accuracy") == [(1, 0.2), (2, 0.3), (3, 0.4)]
    assert read_only_search.points(run, "train_loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_child_has_its_outcome(read_only_search: Any) -> None:
    metrics = read_only_search.children[1].data.metrics
    assert metrics["final_accuracy"] == metrics["reward"] == 0.4
    assert (metrics["parameters"], metrics["mult_adds"], metrics["activations"]) == (1200, 34000, 560)
    assert metrics["seconds"] == 3.5
    # Bars in MLflow's charts: a single point at step 0 each.
    assert read_only_search.points(read_only_search.children[1], "parameters") == [(0, 1200)]


def test_child_has_the_traits_of_its_cells_before_its_decisions(read_only_search: Any) -> None:
    params = read_only_search.children[0].data.params
    shares = [float(value) for key, value in params.items() if key.startswith("cell.share.")]
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    assert int(params["cell.depth_normal"]) in (1, 2)
    names = sorted(params)
    assert names.index("cell.skip_connections") < names.index("normal.0.input_a")


def test_the_best_children_have_pictures_for_mlflows_image_chart(read_only_search: Any) -> None:
    best, failed = read_only_search.children[2], read_only_search.children[3]
    names = [file.path for file in read_only_search.client.list_artifacts(best.info.run_id, "images")]
    assert best.data.tags["mlflow.loggedImages"] == "True"
    assert sorted({name.partition("+")[0] for name in names}) == [
        "images/normal cell",
        "images/reduction cell",
    ]
    assert [name.endswith("+compressed.png") for name in names].count(True) == 2
    assert "mlflow.loggedImages" not in failed.data.tags


def test_only_who_was_among_the_best_is_drawn(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raynas.tracking.search_tracker.NUM_PICTURED", 1)
    tracker = search.open()
    assert [tracker._is_among_best(accuracy) for accuracy in (0.2, 0.1, 0.2, 0.3)] == [
        True,
        False,
        False,
        True,
    ]
    tracker.close("FINISHED")


def test_child_carries_its_genotype_and_a_picture(read_only_search: Any) -> None:
    run = read_only_search.children[0]
    genotype = Genotype.from_json(read_only_search.artifact(run, "genotype.json"))
    assert genotype.arch_id == run.data.tags["raynas.arch_id"]
    assert "<svg" in read_only_search.artifact(run, "cell.svg")


def test_only_a_failed_child_is_failed_in_mlflow(read_only_search: Any) -> None:
    children = read_only_search.children
    assert [run.info.status for run in children] == ["FINISHED", "FINISHED", "FINISHED", "FAILED"]
    assert [run.data.params["status"] for run in children] == ["completed", "completed", "stopped", "failed"]
    assert children[3].data.tags["raynas.reason"] == "CUDA out of memory"
    assert "final_accuracy" not in children[3].data.metrics


def test_child_begins_and_ends_when_the_journal_says(read_only_search: Any) -> None:
    proposed, finished = read_only_search.journal.events[:2]
    info = read_only_search.children[0].info
    assert (info.start_time, info.end_time) == (round(proposed.time * 1000), round(finished.time * 1000))


def test_parent_has_the_config_flattened_and_whole(read_only_search: Any) -> None:
    parent = read_only_search.parent
    assert parent.data.params == {"space.name": "nasnet", "space.num_blocks": "2", "seed": "0"}
    assert json.loads(read_only_search.artifact(parent, "config.json")) == read_only_search.config
    assert parent.data.tags["raynas.run_folder"] == str(read_only_search.store.parent / "out")


def test_parent_has_the_progress_of_the_search(read_only_search: Any) -> None:
    parent = read_only_search.parent
    assert read_only_search.points(parent, "children_finished") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert read_only_search.points(parent, "best_accuracy") == [(1, 0.3), (2, 0.4), (3, 0.5), (4, 0.5)]


def test_what_was_refused_is_a_number_of_the_parent_and_no_run(search: Any) -> None:
    sizes = iter([9, 8, 9, 9, 8, 8, 9, 8])
    search.limits, search.measure = LimitsConfig(parameters=8), lambda genotype: Complexity(next(sizes), 1, 1)
    tracker = search.open()
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 0
    assert [run.data.tags["raynas.child"] for run in search.children] == ["1", "4", "5", "7"]
    assert search.points(search.parent, "children_infeasible") == [(1, 1), (2, 3), (3, 3), (4, 4)]
    assert search.points(search.parent, "children_finished") == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_a_search_that_was_refused_all_has_their_number(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raynas.run.failures, "MAX_REFUSALS_IN_A_ROW", 3)
    search.limits = LimitsConfig(parameters=1)
    tracker = search.open()
    with pytest.raises(SearchFailed):
        search.run(tracker).next_child()
    assert tracker.close("FAILED") == 0
    assert search.children == []
    assert search.points(search.parent, "children_infeasible") == [(0, 3)]


def test_a_search_without_limits_has_no_number_of_refusals(read_only_search: Any) -> None:
    assert "children_infeasible" not in read_only_search.parent.data.metrics


def test_parent_has_the_curves_of_the_controller(search: Any) -> None:
    search.strategy, search.num_children = "ppo", 7
    search.options = {"batch_size": 2, "hidden_units": 4}
    tracker = search.open()
    search.finish(search.run(tracker))
    tracker.close("FINISHED")
    for key in ("policy_version", "mean_reward", "baseline", "entropy", "kl"):
        assert [step for step, _ in search.points(search.parent, key)] == [1, 2, 3]
    assert search.children[-1].data.params["policy_version"] == "2"
    # As a metric it would be the first one that the page for comparing runs draws.
    assert "policy_version" not in search.children[-1].data.metrics


@pytest.mark.parametrize("status", ["FINISHED", "KILLED", "FAILED"])
def test_parent_ends_as_the_search_ended(search: Any, status: str) -> None:
    tracker = search.open()
    assert search.parent.info.status == "RUNNING"
    assert tracker.close(status) == 0
    assert tracker.close("FINISHED") == 0
    assert (search.parent.info.status, search.parent.info.run_id) == (status, tracker.mlflow_run_id)


def test_artifacts_lie_beside_the_database(read_only_search: Any) -> None:
    assert len(list(read_only_search.store.parent.glob("mlartifacts/*/artifacts/cell.svg"))) == 4


def test_a_folder_with_odd_characters_holds_artifacts_too(search: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a b%20 \u00fc"
    folder.mkdir()
    search.store = search.store.rename(folder / "mlflow.db")
    search.open().close("FINISHED")
    assert json.loads(search.artifact(search.parent, "config.json")) == search.config


def test_param_is_cut_to_the_limit_of_mlflow() -> None:
    assert len(param("x" * 300, "y" * 7000).value) == 6000
    assert len(param("x" * 300, "y").key) == 250
    assert param("a(b)", [1, 2]) == param("a_b_", "[1, 2]")


def test_empty_table_in_the_config_stays_visible() -> None:
    assert flattened({"a": {}, "b": {"c": {"d": None}}}) == {"a": {}, "b.c.d": None}
