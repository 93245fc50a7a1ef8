"""The MLflow runs of one search: which are there, and the requests that write one. One thread at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunInfo, RunStatus
from mlflow.utils.file_utils import local_file_uri_to_path

from raynas.config import flattened, scrubbed
from raynas.run.events import Origin
from raynas.tracking.child_page import CHILD, KIND, RUN_ID, ChildPage, milliseconds, param

PAGE_SIZE = 500
MAX_POINTS = 1000
"""In one request; MLflow's limit."""
PARENT = "mlflow.parentRunId"
"""MLflow's own tag: its UI shows the run nested in that one."""


class SearchRuns:
    """The parent run of a search and its children.

    Args:
        parent: as found or made; what it holds at that moment is what earlier drivers have written.
        is_new: made just now, so that it can't have children.

    Attributes:
        status: of the parent, in MLflow's words.
        num_written: children that were completed here.
    """

    def __init__(self, client: MlflowClient, parent: Run, *, run_id: str, is_new: bool) -> None:
        self.client, self.run_id = client, run_id
        self.parent_id: str = parent.info.run_id
        self.experiment_id: str = parent.info.experiment_id
        self.logged_values: dict[str, float] = parent.data.metrics
        self.status: str = parent.info.status
        self.is_new, self.num_written = is_new, 0
        self._parent, self._is_loaded = parent, is_new
        self._complete: set[int] = set()
        self._half_written: dict[int, RunInfo] = {}
        self._in_doubt: set[int] = set()

    @classmethod
    def open(
        cls,
        client: MlflowClient,
        experiment: str,
        *,
        run_name: str,
        run_id: str,
        config: Mapping[str, Any],
        tags: Mapping[str, str],
        origin: Origin | None,
        start_time: float | None,
    ) -> SearchRuns:
        """The runs of the search `run_id` in the experiment with this id; a parent that is there stays as it
        is, but for params that it lacks.

        Args:
            start_time: of a new parent, in seconds since 1970; None: now.
        """
        parent = search_run(client, experiment, run_id)
        is_new = parent is None
        if parent is None:
            nested = origin_tags(client, experiment, origin, "raynas.promoted_from")
            tags = {KIND: "search", RUN_ID: run_id, **nested, **tags}
            start_ms = None if start_time is None else milliseconds(start_time)
            parent = client.create_run(experiment, run_name=run_name, tags=tags, start_time=start_ms)
        params = [param(key, value) for key, value in flattened(scrubbed(config)).items()]
        new_params = [new for new in params if new.key not in parent.data.params]
        if is_new or new_params:
            # The file first: where no param is missing, it isn't either.
            write_texts(client, parent.info, _config_file(config))
            client.log_batch(parent.info.run_id, params=new_params)
        return cls(client, parent, run_id=run_id, is_new=is_new)

    def resume(self, config: Mapping[str, Any]) -> None:
        """The parent is RUNNING from now on, with the config of its latest driver."""
        if self.status != "RUNNING":
            self.client.update_run(self.parent_id, status="RUNNING")
            self.status = "RUNNING"
        self.write_config(config)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """As config.json alone: params can't be changed once written, so those of the first start stay."""
        write_texts(self.client, self._parent.info, _config_file(config))

    def has(self, child: int) -> bool:
        """Whether a child is completely written. Only the first call in a resumed search asks MLflow."""
        if not self._is_loaded:
            self._load()
        return child in self._complete

    def write_child(self, page: ChildPage) -> None:
        """Everything of one child. The end is written last, so a run that has ended is complete."""
        info = self._half_written.get(page.child) or self._create(page)
        self._half_written[page.child] = info
        self.client.log_batch(info.run_id, metrics=page.metrics, params=page.params)
        write_texts(self.client, info, page.texts)
        self.client.set_terminated(info.run_id, page.status, page.end_ms)
        del self._half_written[page.child]
        self._complete.add(page.child)
        self.num_written += 1

    def write_points(self, points: Sequence[Metric]) -> None:
        """Onto the parent's curves."""
        for first in range(0, len(points), MAX_POINTS):
            self.client.log_batch(self.parent_id, metrics=points[first : first + MAX_POINTS])

    def end(self, status: str, end_time: float | None = None) -> None:
        """Ends the parent, unless it has ended so; at this time, in seconds since 1970, or now."""
        if status != self.status:
            end_ms = None if end_time is None else milliseconds(end_time)
            self.client.set_terminated(self.parent_id, status, end_ms)
            self.status = status

    def _create(self, page: ChildPage) -> RunInfo:
        # A request that fails may have been carried out all the same: look before it is made again.
        if page.child in self._in_doubt:
            condition = f"{self._of_parent()} and tags.`{CHILD}` = '{page.child}'"
            found = first_run(self.client, self.experiment_id, condition)
            if found is not None:
                return found.info
        self._in_doubt.add(page.child)
        tags = {PARENT: self.parent_id, RUN_ID: self.run_id, **page.tags}
        run = self.client.create_run(
            self.experiment_id, start_time=page.start_ms, tags=tags, run_name=page.name
        )
        self._in_doubt.discard(page.child)
        return run.info

    def _load(self) -> None:
        for run in _all(self.client, self.experiment_id, self._of_parent()):
            child = int(run.data.tags[CHILD])
            if RunStatus.is_terminated(RunStatus.from_string(run.info.status)):
                self._complete.add(child)
            else:
                self._half_written[child] = run.info
        self._is_loaded = True

    def _of_parent(self) -> str:
        return f"tags.`{PARENT}` = '{self.parent_id}' and tags.`{KIND}` = 'child'"


def search_run(client: MlflowClient, experiment: str, run_id: str) -> Run | None:
    """The parent run of a search or a promotion, if the experiment has it."""
    return first_run(client, experiment, f"tags.`{RUN_ID}` = '{run_id}' and tags.`{KIND}` = 'search'")


def origin_tags(client: MlflowClient, experiment: str, origin: Origin | None, key: str) -> dict[str, str]:
    """What nests a new run in the one that its cells are from; without PARENT, where that is not known here.

    Args:
        key: of the tag that names that run as its journal does.
    """
    if origin is None:
        return {}
    tags = {key: origin.run_id}
    if origin.child is not None:
        tags[CHILD] = str(origin.child)
    source = search_run(client, experiment, origin.run_id)
    return tags if source is None else {PARENT: source.info.run_id, **tags}


def first_run(client: MlflowClient, experiment: str, condition: str) -> Run | None:
    found = client.search_runs([experiment], condition, max_results=1, order_by=["attributes.start_time ASC"])
    return found[0] if found else None


def _all(client: MlflowClient, experiment: str, condition: str) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment], condition, max_results=PAGE_SIZE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _config_file(config: Mapping[str, Any]) -> dict[str, str]:
    return {"config.json": json.dumps(scrubbed(config), indent=2, default=str)}


def write_texts(client: MlflowClient, info: RunInfo, texts: Mapping[str, str]) -> None:
    """Artifacts: straight into the folder where MLflow would copy them, or else all in one upload."""
    if urlsplit(info.artifact_uri).scheme in ("", "file"):
        folder = Path(local_file_uri_to_path(info.artifact_uri))
        _write_files(folder, texts)
        return
    with tempfile.TemporaryDirectory(prefix="raynas-") as upload:
        _write_files(Path(upload), texts)
        client.log_artifacts(info.run_id, upload)


def _write_files(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
