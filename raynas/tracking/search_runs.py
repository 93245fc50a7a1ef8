"""The MLflow runs of one search, parent and children: which exist, and the requests that write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunInfo, RunStatus

from raynas.config import scrubbed
from raynas.tracking.child_page import CHILD_TAG, KIND_TAG, RUN_ID_TAG, ChildPage, milliseconds
from raynas.tracking.run_page import PARENT_TAG, RunPage, first_run, open_mlflow_run, write_artifacts
from raynas.tracking.transaction import ChildTransaction, child_transaction

PAGE_SIZE = 500
"""Number of runs that one search request asks for."""
MAX_POINTS = 1000
"""Number of metric points that MLflow takes in one request."""


class SearchRuns:
    """The MLflow run of a search, called the parent, and those of its children.

    Not thread-safe: after `open`, only the writer's thread calls it.

    Args:
        page: the search; its parent run is found or created.

    Attributes:
        logged_values: the parent's latest metrics, as earlier drivers left them.
        status: the parent's status in MLflow.
        is_new: whether the parent was created just now, so that it can't have children.
        num_written: number of children that were completed here.
    """

    def __init__(self, page: RunPage) -> None:
        opened = open_mlflow_run(page, texts=_config_file(page.config))
        self.client = opened.client
        self.is_new = opened.is_new
        self.run_id = page.run_id
        self.parent_id: str = opened.run.info.run_id
        self.experiment_id: str = opened.run.info.experiment_id
        self.logged_values: dict[str, float] = opened.run.data.metrics
        self.status: str = opened.run.info.status
        self.num_written = 0
        self._parent = opened.run
        # A new parent has no children, so MLflow need not be asked for them.
        self._is_loaded = opened.is_new
        self._complete: set[int] = set()
        self._half_written: dict[int, RunInfo] = {}
        self._in_doubt: set[int] = set()
        self._transaction = child_transaction(self.client, self.experiment_id)

    def resume(self, config: Mapping[str, Any]) -> None:
        """Marks the parent as RUNNING again, with the config of its latest driver."""
        if self.status != "RUNNING":
            self.client.update_run(self.parent_id, status="RUNNING")
            self.status = "RUNNING"
        self.write_config(config)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replaces config.json. The params stay those of the first start: MLflow's can't be changed."""
        write_artifacts(self.client, self._parent.info, _config_file(config))

    def has(self, child: int) -> bool:
        """Whether a child is completely written. Only the first call in a resumed search asks MLflow."""
        if not self._is_loaded:
            self._load()
        return child in self._complete

    def write_child(self, page: ChildPage) -> None:
        """Writes everything about one child."""
        # A run that an earlier driver has begun is gone on with, not written anew.
        if self._transaction is not None and page.child not in self._half_written:
            self._write_at_once(self._transaction, page)
        else:
            self._write_step_by_step(page)
        self._complete.add(page.child)
        self.num_written += 1

    def _write_at_once(self, transaction: ChildTransaction, page: ChildPage) -> None:
        if self._doubtful(page.child) is None:
            self._in_doubt.add(page.child)
            transaction.write(page, self._tags(page))
        self._in_doubt.discard(page.child)

    def _write_step_by_step(self, page: ChildPage) -> None:
        info = self._half_written.get(page.child) or self._create(page)
        # Remembered before anything is written to it: a second try then goes on with this run instead of a
        # new one.
        self._half_written[page.child] = info
        self.client.log_batch(info.run_id, metrics=page.metrics, params=page.params)
        write_artifacts(self.client, info, page.artifacts)
        # The end comes last, so that a run that has ended is known to be complete.
        self.client.set_terminated(info.run_id, page.status, page.end_ms)
        del self._half_written[page.child]

    def write_points(self, points: Sequence[Metric]) -> None:
        """Adds points to the parent's curves."""
        for first in range(0, len(points), MAX_POINTS):
            self.client.log_batch(self.parent_id, metrics=points[first : first + MAX_POINTS])

    def end(self, status: str, end_time: float | None = None) -> None:
        """Ends the parent, unless it has that status already.

        Args:
            end_time: in seconds since 1970; defaults to now.
        """
        # A run that has this status already keeps the moment of its end.
        if status != self.status:
            end_ms = None if end_time is None else milliseconds(end_time)
            self.client.set_terminated(self.parent_id, status, end_ms)
            self.status = status

    def _create(self, page: ChildPage) -> RunInfo:
        found = self._doubtful(page.child)
        if found is not None:
            return found.info
        # Marked before the request, and unmarked only once it was answered.
        self._in_doubt.add(page.child)
        run = self.client.create_run(
            self.experiment_id, start_time=page.start_ms, tags=self._tags(page), run_name=page.name
        )
        self._in_doubt.discard(page.child)
        return run.info

    def _doubtful(self, child: int) -> Run | None:
        """The child's run, if an earlier try failed and has made it all the same.

        That happens, for example, when only the answer to the request got lost. Without a look at the store
        the child would have two runs.
        """
        if child not in self._in_doubt:
            return None
        condition = f"{self._is_child} and tags.`{CHILD_TAG}` = '{child}'"
        return first_run(self.client, [self.experiment_id], condition)

    def _tags(self, page: ChildPage) -> dict[str, str]:
        return {PARENT_TAG: self.parent_id, RUN_ID_TAG: self.run_id, **page.tags}

    def _load(self) -> None:
        for run in _all(self.client, self.experiment_id, self._is_child):
            child = int(run.data.tags[CHILD_TAG])
            if RunStatus.is_terminated(RunStatus.from_string(run.info.status)):
                self._complete.add(child)
            else:
                self._half_written[child] = run.info
        self._is_loaded = True

    @property
    def _is_child(self) -> str:
        """Condition that a run is a child of this search; promotions and trainings are nested in it too."""
        return f"tags.`{PARENT_TAG}` = '{self.parent_id}' and tags.`{KIND_TAG}` = 'child'"


def _all(client: MlflowClient, experiment: str, condition: str) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment], condition, max_results=PAGE_SIZE, page_token=token)
        yield from page
        # MLflow gives out runs in pages, and a token as long as there is another one.
        token = page.token
        if not token:
            return


def _config_file(config: Mapping[str, Any]) -> dict[str, str]:
    return {"config.json": json.dumps(scrubbed(config), indent=2, default=str)}
