"""A finished child's MLflow run, written in one transaction where MLflow's database is opened directly.

MLflow's client takes three requests, and six commits, for what is known at once here. The rows are those that
the three requests make, in MLflow's own table classes; a server, or any other kind of store, gets the
requests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, RunInfo, SourceType
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.uri import append_to_uri_path

from raynas.tracking.child_page import ChildPage
from raynas.tracking.run_page import write_artifacts

USER = "unknown"
"""Author of a run, as MLflow's client writes it for a run without one."""
ARTIFACTS = "artifacts"
"""Last part of the path of a run's artifacts in MLflow's databases."""


@dataclass(frozen=True, slots=True)
class ChildTransaction:
    """Writes children of one experiment: each is in the database as a whole, or not at all."""

    client: MlflowClient
    store: Any
    """MLflow's SqlAlchemyStore."""
    experiment_id: str
    artifact_location: str
    """Where the experiment keeps its artifacts; a path or a file URI."""

    def write(self, page: ChildPage, tags: Mapping[str, str]) -> None:
        """Writes a child as a new, ended MLflow run.

        Args:
            tags: all tags but its name.
        """
        info = self.info_of(page)
        # The files first, so that a run that is in the database is complete.
        write_artifacts(self.client, info, page.artifacts)
        with self.store.ManagedSessionMaker(read_only=False) as session:
            for table, rows in _rows(page, info, tags, self.store).items():
                if rows:
                    session.execute(sqlalchemy.insert(table), rows)

    def info_of(self, page: ChildPage) -> RunInfo:
        """A new run's id, times and place for artifacts; nothing is written."""
        run_id = uuid.uuid4().hex
        artifact_uri = append_to_uri_path(self.artifact_location, run_id, ARTIFACTS)
        return RunInfo(
            run_id, self.experiment_id, USER, page.status, page.start_ms, page.end_ms,
            LifecycleStage.ACTIVE, artifact_uri,
        )  # fmt: skip


def child_transaction(client: MlflowClient, experiment_id: str) -> ChildTransaction | None:
    """None where the store is no database that this process has opened, or artifacts must be uploaded."""
    # Imported late: a search that writes to a server needs no database.
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = client._tracking_client.store
    # Not a subclass, which may keep its runs in another way.
    if type(store) is not SqlAlchemyStore:
        return None
    location = client.get_experiment(experiment_id).artifact_location
    if urlsplit(location).scheme not in ("", "file"):
        return None
    return ChildTransaction(client, store, experiment_id, location)


def _rows(
    page: ChildPage, info: RunInfo, tags: Mapping[str, str], store: Any
) -> dict[Any, list[dict[str, Any]]]:
    """The rows of a run by table, the run's own first."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag

    run = {
        "run_uuid": info.run_id,
        "name": page.name,
        "artifact_uri": info.artifact_uri,
        "experiment_id": int(info.experiment_id),
        "source_type": SourceType.to_string(SourceType.UNKNOWN),
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": info.user_id,
        "status": info.status,
        "start_time": info.start_time,
        "end_time": info.end_time,
        "lifecycle_stage": info.lifecycle_stage,
    }
    texts = {MLFLOW_RUN_NAME: page.name, **tags}
    params = {param.key: param.value for param in page.params}
    points = _points(page.metrics, store)
    newest: dict[str, dict[str, Any]] = {}
    for point in sorted(points, key=lambda point: (point["step"], point["timestamp"], point["value"])):
        newest[point["key"]] = point
    owner = {"run_uuid": info.run_id}
    return {
        SqlRun: [run],
        SqlTag: [owner | {"key": key, "value": value} for key, value in texts.items()],
        SqlParam: [owner | {"key": key, "value": value} for key, value in params.items()],
        SqlMetric: [owner | point for point in points],
        SqlLatestMetric: [owner | point for point in newest.values()],
    }


def _points(metrics: Iterable[Metric], store: Any) -> list[dict[str, Any]]:
    """The points, each once, as MLflow's tables take them: NaN as 0 with a flag, infinity as the largest
    number.
    """
    different: dict[tuple[Any, ...], dict[str, Any]] = {}
    for metric in metrics:
        is_nan, value = store.sanitize_metric_value(metric.value)
        point = {
            "key": metric.key,
            "value": value,
            "timestamp": metric.timestamp,
            "step": metric.step,
            "is_nan": is_nan,
        }
        different[tuple(point.values())] = point
    return list(different.values())
