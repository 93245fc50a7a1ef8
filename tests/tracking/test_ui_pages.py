"""The pages of MLflow's UI that `raynas ui` prints, and the view that they share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from raynas.tracking.experiment import find_target
from raynas.tracking.pictures import KEYS
from raynas.tracking.store import connect
from raynas.tracking.ui_pages import COLUMNS, VIEW_TAG, ui_pages


def view(search: Any) -> dict[str, Any]:
    tags = search.client.get_experiment(search.parent.info.experiment_id).tags
    content: dict[str, Any] = json.loads(tags[VIEW_TAG])
    return content


def test_without_a_child_there_is_only_the_list_of_runs(store: Path) -> None:
    number = find_target(connect(f"sqlite:///{store}"), "mine", f"sqlite:///{store}").experiment
    pages = ui_pages(store)
    assert pages.runs == f"/#/experiments/{number}/runs?workflowType=machine_learning"
    assert pages.children is pages.charts is None


def test_store_without_an_experiment_of_its_own_has_a_page(store: Path) -> None:
    assert ui_pages(store).runs.startswith("/#/experiments/0/runs?")


def test_the_links_name_the_view_and_neither_filter_nor_order(finished_search: Any) -> None:
    pages = ui_pages(finished_search.store)
    assert pages.children == f"{pages.runs}&viewStateShareKey=raynas"
    assert pages.charts == f"{pages.runs}&compareRunsMode=CHART&viewStateShareKey=raynas"
    assert view(finished_search)["orderByAsc"] is False


def test_the_view_finds_the_children_by_what_they_have(finished_search: Any) -> None:
    ui_pages(finished_search.store)
    shown = view(finished_search)
    number = finished_search.parent.info.experiment_id
    runs = finished_search.client.search_runs(
        [number], shown["searchFilter"], order_by=[f"{shown['orderByKey']} DESC"]
    )
    accuracies = [run.data.metrics.get("final_accuracy") for run in runs]
    assert accuracies == [0.5, 0.4, 0.3, None]
    data = runs[0].data
    found = {f"metrics.`{key}`" for key in data.metrics} | {f"params.`{key}`" for key in data.params}
    assert set(shown["selectedColumns"]) == set(COLUMNS) <= found


def test_the_charts_show_the_pictures_that_children_have(finished_search: Any) -> None:
    ui_pages(finished_search.store)
    shown = view(finished_search)
    charts = shown["compareRunCharts"]
    assert [chart["imageKeys"] for chart in charts if not chart["deleted"]] == [list(KEYS)]
    assert [chart["imageKeys"] for chart in charts if chart["deleted"]] == [[key] for key in KEYS]
    section = shown["compareRunSections"][0]
    assert {(chart["type"], chart["metricSectionId"]) for chart in charts} == {("IMAGE", section["uuid"])}
    # MLflow drops its own charts if their section is missing.
    assert "Model metrics" in [section["name"] for section in shown["compareRunSections"]]


def test_a_store_that_may_not_be_written_gets_the_filter_in_the_link(
    finished_search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, store = os.access, finished_search.store
    monkeypatch.setattr(os, "access", lambda path, mode: path != store and access(path, mode))
    before = store.read_bytes()
    pages = ui_pages(store)
    assert store.read_bytes() == before
    assert pages.children == (
        f"{pages.runs}&searchFilter=tags.%60raynas.kind%60+%3D+%27child%27"
        "&orderByKey=metrics.%60final_accuracy%60&orderByAsc=false"
    )
