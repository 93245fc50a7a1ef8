"""The listener that shows a search in MLflow. What it hears it queues; a thread of its own writes it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import Metric

from raynas.cells.space import SearchSpace
from raynas.child import Child
from raynas.config import without_credentials
from raynas.errors import UsageError
from raynas.run.events import Origin
from raynas.run.records import ChildRecord, RunListener
from raynas.tracking.child_page import child_page, metric
from raynas.tracking.runs import SearchRuns
from raynas.tracking.store import connect, experiment_id, is_outage, reason, resolved_uri, unusable
from raynas.tracking.writer import JobQueue, Writer

logger = logging.getLogger("raynas.tracking")

ENOUGH_POINTS = 900
"""To be written together: with the rest of their step they are still one request."""


class Tracker(RunListener):
    """Writes each child once, however often it hears of it, in this process or in an earlier one.

    Attributes:
        uri: of the store, fit to be printed: without credentials.
        mlflow_run_id: of the parent run.
    """

    def __init__(
        self, runs: SearchRuns, *, space: SearchSpace, uri: str, writer: JobQueue | None = None
    ) -> None:
        self.uri, self.mlflow_run_id = without_credentials(uri), runs.parent_id
        self._runs, self._space = runs, space
        self._num_finished = self._num_infeasible = 0
        self._finish_time = 0.0
        self._best_accuracy: float | None = None
        self._points: deque[list[Metric]] = deque()
        self._is_flush_queued = False
        self._unwritten: set[int] = set()
        self._is_closed = self._has_warned = False
        self._writer = writer or Writer(is_outage=is_outage, on_failure=self._warn_once)

    @classmethod
    def open(
        cls,
        uri: str | None,
        *,
        experiment: str,
        run_name: str,
        run_id: str,
        config: Mapping[str, Any],
        space: SearchSpace,
        default_store: Path,
        run_folder: Path | None = None,
        origin: Origin | None = None,
        start_time: float | None = None,
        writer: JobQueue | None = None,
    ) -> Tracker:
        """The tracker of the search `run_id`, new or resumed.

        Args:
            uri: None for MLFLOW_TRACKING_URI, or else the SQLite file `default_store`.
            config: of the search; credentials in its URIs are left out.
            run_folder: where the journal is; becomes a tag.
            origin: of a promotion; a new one is nested in that run, if the store has it.
            start_time: of a new search, in seconds since 1970; None: now.
            writer: of a search that nobody runs any more: its parent is not RUNNING again. None: a thread.
        Raises:
            UsageError: the store can't be used; names the URI, what went wrong and what to do.
        """
        resolved = resolved_uri(uri, default_store)
        client = connect(resolved)
        tags = {"raynas.run_folder": str(run_folder.absolute())} if run_folder else {}
        try:
            runs = SearchRuns.open(
                client,
                experiment_id(client, experiment, resolved),
                run_name=run_name,
                run_id=run_id,
                config=config,
                tags=tags,
                origin=origin,
                start_time=start_time,
            )
            if writer is None and not runs.is_new:
                runs.resume(config)
        except UsageError:
            raise
        except Exception as error:
            raise unusable(resolved, error) from None
        return cls(runs, space=space, uri=resolved, writer=writer)

    @property
    def status(self) -> str:
        """Of the parent run, in MLflow's words."""
        return self._runs.status

    @property
    def is_new(self) -> bool:
        """Whether MLflow had nothing of the search."""
        return self._runs.is_new

    @property
    def num_written(self) -> int:
        """Children that were not in MLflow, and now are."""
        return self._runs.num_written

    def config_changed(self, config: Mapping[str, Any]) -> None:
        """The search goes on with another config than it was opened with."""
        self._writer.put(partial(self._runs.write_config, config))

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        if self._is_closed or record.finished is None:
            return
        self._unwritten.add(child.id)
        self._writer.put(partial(self._write_child, record, child))
        self._num_finished += 1
        self._finish_time = record.finished.time
        accuracy = record.finished.result.accuracy
        if accuracy is not None:
            self._best_accuracy = max(accuracy, self._best_accuracy or 0.0)
        values: dict[str, float] = {"children_finished": self._num_finished}
        if self._num_infeasible:
            values["children_infeasible"] = self._num_infeasible
        if self._best_accuracy is not None:
            values["best_accuracy"] = self._best_accuracy
        self._add_points(values, step=self._num_finished, clock="children_finished")

    def child_refused(self, record: ChildRecord) -> None:
        """Counted alone: a page for each would bury the children that were trained."""
        if self._is_closed or record.finished is None:
            return
        self._num_infeasible += 1
        self._finish_time = record.finished.time

    def policy_updated(self, statistics: dict[str, float]) -> None:
        if "policy_version" in statistics:
            self._add_points(statistics, step=int(statistics["policy_version"]), clock="policy_version")
        else:
            self._add_points(statistics, step=self._num_finished, clock="children_finished")

    def close(self, status: str, *, end_time: float | None = None, timeout: float = 60.0) -> int:
        """Writes what is queued, for about `timeout` seconds at most, and ends the parent run.

        Args:
            status: MLflow's: FINISHED, KILLED or FAILED.
            end_time: in seconds since 1970; None: now.
        Returns:
            How many children could not be written; `raynas sync`, or a resume, fills them in.
        """
        if not self._is_closed:
            if self._num_infeasible > self._runs.logged_values.get("children_infeasible", 0):
                # Those refused after the last child's end are on no curve yet.
                self._queue_points({"children_infeasible": self._num_infeasible}, step=self._num_finished)
            self._is_closed = True
            self._writer.close(partial(self._runs.end, status, end_time), timeout=timeout)
        return len(self._unwritten)

    def _add_points(self, values: Mapping[str, float], *, step: int, clock: str) -> None:
        """Queues one step of some of the parent's curves, unless an earlier driver got as far as this."""
        if self._is_closed or step <= self._runs.logged_values.get(clock, 0):
            return
        self._queue_points(values, step=step)

    def _queue_points(self, values: Mapping[str, float], *, step: int) -> None:
        time = self._finish_time
        self._points.append([metric(key, value, step=step, time=time) for key, value in values.items()])
        if not self._is_flush_queued:
            self._is_flush_queued = True
            self._writer.put(self._write_points)

    def _write_child(self, record: ChildRecord, child: Child) -> None:
        if not self._runs.has(child.id):
            self._runs.write_child(child_page(record, child, self._space))
        self._unwritten.discard(child.id)

    def _write_points(self) -> None:
        # Before they are counted: whoever adds one from now on queues a job for it.
        self._is_flush_queued = False
        while self._points:
            # Whole steps in one request: what a later driver finds of a step is all of it.
            num_steps, points = 0, list[Metric]()
            # By index: the search may append meanwhile, which an iterator does not bear.
            while num_steps < len(self._points) and len(points) < ENOUGH_POINTS:
                points += self._points[num_steps]
                num_steps += 1
            self._runs.write_points(points)
            for _ in range(num_steps):
                self._points.popleft()

    def _warn_once(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "MLflow can't be written at %s (%s). The search goes on, what is missing is tried "
                "again, and the journal has everything: 'raynas sync' fills in what stays missing.",
                self.uri,
                reason(error),
            )
