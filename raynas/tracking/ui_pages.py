"""Pages of MLflow's UI on which a search is best looked at: their paths, and the view that they share.

MLflow keeps a shared view as a tag of the experiment: the query parameter `viewStateShareKey` names the tag,
which holds the filter, the order, the columns and the charts as JSON. The page takes the columns from there
alone, and it ignores the whole view if a filter or an order also stands in the link.
Source: mlflow 3.17.2, server/js, what the "Share" button of the runs page writes.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mlflow import MlflowClient

from raynas.tracking.child_page import KIND_TAG
from raynas.tracking.moved_store import former_folders
from raynas.tracking.pictures import KEYS
from raynas.tracking.store import connect, sqlite_uri, store_errors

logger = logging.getLogger("raynas.tracking")

VIEW_KEY = "raynas"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
"""MLflow's own tag of an experiment, with the view that `viewStateShareKey` names."""
COLUMNS = (
    *(f"metrics.`{name}`" for name in ("final_accuracy", "parameters", "mult_adds", "seconds")),
    *(f"params.`cell.{name}`" for name in ("depth_normal", "depth_reduction", "skip_connections")),
)
CARD_HEIGHT = 580
"""Pixels of the grid of pictures, so that normal and reduction cell are seen without scrolling."""
FACETS = {
    "searchFilter": f"tags.`{KIND_TAG}` = 'child'",
    "orderByKey": "metrics.`final_accuracy`",
    "orderByAsc": False,
}
"""Children only, the most accurate first; names as in MLflow's links and views."""


@dataclass(frozen=True, slots=True)
class UiPages:
    """Paths in MLflow's UI, without the host."""

    runs: str
    """All runs of the newest experiment: searches with their children, promotions and trainings."""
    children: str | None
    """A table of the children of all its searches, the most accurate first; None if it has none."""
    charts: str | None
    """The children with their cells' pictures and their curves side by side."""


def ui_pages(store: Path) -> UiPages:
    """The pages for the newest experiment of a store; writes their shared view into it, if it may be written.

    The UI itself opens on a page for language models.

    Args:
        store: a SQLite file.
    Raises:
        UsageError: the store can't be used.
    """
    uri = sqlite_uri(store.resolve())
    # SQLite also makes files beside the store while it writes.
    can_write = os.access(store, os.W_OK) and os.access(store.parent, os.W_OK)
    client = connect(uri) if can_write else _connect_to_read(uri, store.resolve())
    with store_errors(uri):
        experiments = client.search_experiments(max_results=1)
        if not experiments:
            return UiPages(_path("experiments"), None, None)
        number = str(experiments[0].experiment_id)
        place = f"experiments/{number}/runs"
        if not client.search_runs([number], str(FACETS["searchFilter"]), max_results=1):
            return UiPages(_path(place), None, None)
        if can_write and experiments[0].tags.get(VIEW_TAG) != _view():
            client.set_experiment_tag(number, VIEW_TAG, _view())
    query = {"viewStateShareKey": VIEW_KEY} if can_write else _query_facets()
    return UiPages(_path(place), _path(place, **query), _path(place, compareRunsMode="CHART", **query))


def _path(place: str, **query: str) -> str:
    return f"/#/{place}?{urlencode({'workflowType': 'machine_learning', **query})}"


def _query_facets() -> dict[str, str]:
    """The filter and the order for a link, where no view can be written."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in FACETS.items()}


def _view() -> str:
    return json.dumps({**FACETS, "selectedColumns": COLUMNS, **_charts()})


def _charts() -> dict[str, Any]:
    """The pictures, above the section into which MLflow itself puts a chart for each metric."""
    sections = [
        {"uuid": _uuid(name), "name": name, "display": True, "isReordered": False, "columns": columns}
        for name, columns in (("Cells", 1), ("Model metrics", 2))
    ]
    sections[0]["cardHeight"] = CARD_HEIGHT
    charts = [
        {
            "uuid": _uuid(title),
            "type": "IMAGE",
            "runsCountToCompare": 10,
            "metricSectionId": sections[0]["uuid"],
            "deleted": is_deleted,
            "isGenerated": True,
            "displayName": title,
            "imageKeys": list(keys),
            "step": 0,
            "showRunParams": False,
        }
        # The grid of all keys has a column for each run. MLflow adds a chart for each key unless one was
        # deleted, and such a chart has the runs one below the other.
        for title, keys, is_deleted in (
            ("Cells side by side", KEYS, False),
            *((key, [key], True) for key in KEYS),
        )
    ]
    return {
        "compareRunCharts": charts,
        "compareRunSections": sections,
        # Keeps this order of the sections.
        "isAccordionReordered": True,
        # Leaves the width to the pictures, which have the runs' names on top.
        "runListHidden": True,
    }


def _uuid(name: str) -> str:
    return f"raynas-{name.lower().replace(' ', '-')}"


def _connect_to_read(uri: str, store: Path) -> MlflowClient:
    """A client of a SQLite store that may not be written, as on a read-only disk."""
    with store_errors(uri):
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
        for folder in former_folders(uri, store):
            logger.warning(
                "The MLflow store %s was moved or copied and may not be written, so its paths still begin "
                "with %s: pictures and other files are shown only if they are there. Copy its folder to "
                "where you may write.",
                store,
                folder,
            )
    return client
