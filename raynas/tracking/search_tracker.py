"""The listener that shows a search in MLflow; a thread of its own does the writing."""

from __future__ import annotations

import heapq
import logging
import shlex
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from mlflow.entities import Metric

from raynas.cells.space import SearchSpace
from raynas.child import Child
from raynas.config import without_credentials
from raynas.run.records import ChildRecord, RunListener
from raynas.tracking.child_page import child_page, metric
from raynas.tracking.run_page import RunPage
from raynas.tracking.search_runs import SearchRuns
from raynas.tracking.store import error_text, is_outage, store_errors
from raynas.tracking.writer import BackgroundWriter, JobQueue

logger = logging.getLogger("raynas.tracking")

NUM_PICTURED = 20
"""A child gets pictures of its cells if it is among so many best ones when it ends: MLflow's charts show ten
runs unless told otherwise, and drawing all children would cost more than all else that is written of them.
"""
ENOUGH_POINTS = 900
"""Number of points after which a request is sent; with the rest of their step they still fit into one."""


class SearchTracker(RunListener):
    """Writes each child once, however often it is reported, in this process or in an earlier one.

    Attributes:
        uri: the store's URI without credentials.
        mlflow_run_id: ID of the parent run.
    """

    def __init__(
        self, runs: SearchRuns, *, space: SearchSpace, page: RunPage, writer: JobQueue | None = None
    ) -> None:
        self.uri = without_credentials(page.uri)
        self._folder = page.folder
        # `raynas sync` gives a writer, and says itself what could not be written.
        self._says_what_is_missing = writer is None
        self.mlflow_run_id = runs.parent_id
        self._runs = runs
        self._space = space
        self._num_finished = 0
        self._num_infeasible = 0
        self._finish_time = 0.0
        self._best_accuracy: float | None = None
        self._best_accuracies: list[float] = []
        # Steps of the parent's curves. The search appends to it and the writer's thread takes from it; both
        # operations are atomic in a deque.
        self._points: deque[list[Metric]] = deque()
        self._is_flush_queued = False
        self._unwritten: set[int] = set()
        self._is_closed = False
        self._has_warned = False
        self._writer = writer or BackgroundWriter(is_outage=is_outage, on_failure=self._warn_once)

    @classmethod
    def open(cls, page: RunPage, *, space: SearchSpace, writer: JobQueue | None = None) -> SearchTracker:
        """The tracker of a search, new or resumed.

        Args:
            writer: defaults to a thread that writes while the search runs. One that is given belongs to a
                search that no driver runs any more, whose parent run must not become RUNNING again.
        Raises:
            UsageError: the store can't be used; the message names the URI, what went wrong and what to do.
        """
        with store_errors(page.uri):
            runs = SearchRuns(page)
            if writer is None and not runs.is_new:
                runs.resume(page.config)
        return cls(runs, space=space, page=page, writer=writer)

    @property
    def status(self) -> str:
        """The parent run's status in MLflow."""
        return self._runs.status

    @property
    def is_new(self) -> bool:
        """Whether MLflow had nothing of the search."""
        return self._runs.is_new

    @property
    def num_written(self) -> int:
        """Number of children that were added to MLflow."""
        return self._runs.num_written

    def config_changed(self, config: Mapping[str, Any]) -> None:
        """Replaces the config that the search was opened with."""
        self._writer.put(partial(self._runs.write_config, config))

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        """Queues the child's MLflow run and the next step of the search's curves."""
        if self._is_closed or record.finished is None:
            return
        # Added here and discarded in the writer's thread; each is a single operation of a set, which needs no
        # lock.
        self._unwritten.add(child.id)
        accuracy = record.finished.result.accuracy
        with_pictures = accuracy is not None and self._is_among_best(accuracy)
        self._writer.put(partial(self._write_child, record, child, with_pictures=with_pictures))
        self._num_finished += 1
        self._finish_time = record.finished.time
        if accuracy is not None:
            self._best_accuracy = max(accuracy, self._best_accuracy or 0.0)
        values: dict[str, float] = {"children_finished": self._num_finished}
        # Only once there are any, so that a search without limits has no curve of zeros.
        if self._num_infeasible:
            values["children_infeasible"] = self._num_infeasible
        if self._best_accuracy is not None:
            values["best_accuracy"] = self._best_accuracy
        self._add_points(values, step=self._num_finished, progress_key="children_finished")

    def child_refused(self, record: ChildRecord) -> None:
        """Counts the proposal. It gets no run of its own: refused ones can outnumber the trained children."""
        if self._is_closed or record.finished is None:
            return
        self._num_infeasible += 1
        self._finish_time = record.finished.time

    def policy_updated(self, statistics: dict[str, float]) -> None:
        """Queues one step of the curves of the strategy's statistics."""
        if "policy_version" in statistics:
            step = int(statistics["policy_version"])
            self._add_points(statistics, step=step, progress_key="policy_version")
        else:
            self._add_points(statistics, step=self._num_finished, progress_key="children_finished")

    def close(self, status: str, *, end_time: float | None = None, timeout: float = 60.0) -> int:
        """Writes what is queued, for about `timeout` seconds at most, and ends the parent run.

        Args:
            status: in MLflow: FINISHED, KILLED or FAILED.
            end_time: in seconds since 1970; defaults to now.
        Returns:
            Number of children that could not be written; `raynas sync`, or a resume, adds them later.
        """
        if not self._is_closed:
            if self._num_infeasible > self._runs.logged_values.get("children_infeasible", 0):
                # Proposals that were refused after the last child had ended are on no curve yet.
                self._queue_points({"children_infeasible": self._num_infeasible}, step=self._num_finished)
            self._is_closed = True
            self._writer.close(partial(self._runs.end, status, end_time), timeout=timeout)
            if self._says_what_is_missing:
                self._say_what_is_missing(status)
        return len(self._unwritten)

    def _is_among_best(self, accuracy: float) -> bool:
        """Whether it is one of the best so far, in the order of the journal, which a replay repeats."""
        if len(self._best_accuracies) < NUM_PICTURED:
            heapq.heappush(self._best_accuracies, accuracy)
            return True
        return heapq.heappushpop(self._best_accuracies, accuracy) < accuracy

    def _say_what_is_missing(self, status: str) -> None:
        missing = []
        if self._unwritten:
            missing.append(f"{len(self._unwritten):,} of {self._num_finished:,} children")
        if self._points:
            missing.append("the end of the search's curves")
        if self._runs.status != status:
            missing.append(f"the status {status}")
        if missing:
            logger.warning(
                "MLflow at %s lacks %s. The journal holds everything; once MLflow answers, this adds what is "
                "missing:\n  raynas sync %s",
                self.uri,
                " and ".join(missing),
                shlex.quote(str(self._folder)),
            )

    def _add_points(self, values: Mapping[str, float], *, step: int, progress_key: str) -> None:
        """Queues one step of the parent's curves, unless an earlier driver has written it.

        Args:
            progress_key: metric whose value grows with the steps of these curves. Its last value in MLflow
                tells how far earlier drivers got, so that a replayed journal adds no point twice.
        """
        # A replayed journal reports every step again from the first on.
        if self._is_closed or step <= self._runs.logged_values.get(progress_key, 0):
            return
        self._queue_points(values, step=step)

    def _queue_points(self, values: Mapping[str, float], *, step: int) -> None:
        time = self._finish_time
        self._points.append([metric(key, value, step=step, time=time) for key, value in values.items()])
        # One job writes all steps that have gathered, however many came while the writer was busy.
        if not self._is_flush_queued:
            self._is_flush_queued = True
            self._writer.put(self._write_points)

    def _write_child(self, record: ChildRecord, child: Child, *, with_pictures: bool) -> None:
        if not self._runs.has(child.id):
            page = child_page(record, child, self._space, with_pictures=with_pictures)
            self._runs.write_child(page)
        self._unwritten.discard(child.id)

    def _write_points(self) -> None:
        # Reset before the points are read: a step that is added from now on queues a job of its own. In the
        # other order a step that comes between the two would be left behind.
        self._is_flush_queued = False
        while self._points:
            # A request holds whole steps: a later driver concludes from one metric of a step that it has all.
            num_steps = 0
            points: list[Metric] = []
            # By index, since the search may append meanwhile and iterators don't allow that.
            while num_steps < len(self._points) and len(points) < ENOUGH_POINTS:
                points += self._points[num_steps]
                num_steps += 1
            self._runs.write_points(points)
            # Removed only now: if the request fails, the job is tried again with the same points.
            for _ in range(num_steps):
                self._points.popleft()

    def _warn_once(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "MLflow can't be written at %s (%s). The search continues and the writes are tried again. "
                "The journal holds everything: 'raynas sync' later adds to MLflow what is still missing.",
                self.uri,
                error_text(error),
            )
