"""Where MLflow's records go: which URI, whether it can be used, and how to show it without its secrets."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from raynas.config import without_credentials
from raynas.errors import UsageError

URI_VARIABLE = "MLFLOW_TRACKING_URI"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
MAX_REASON_LENGTH = 400


def resolved_uri(uri: str | None, default_store: Path) -> str:
    """The URI given, else the environment's, else the SQLite file `default_store`. With its credentials."""
    return uri or os.environ.get(URI_VARIABLE) or f"sqlite:///{default_store.absolute()}"


def check_store(uri: str | None, default_store: Path) -> str:
    """The URI that a search would write to, fit to be printed: without credentials. Creates the SQLite file.

    Raises:
        UsageError: it can't be used; names the URI, what went wrong and what to do.
    """
    resolved = resolved_uri(uri, default_store)
    connect(resolved)
    return without_credentials(resolved)


def connect(uri: str) -> MlflowClient:
    """A client of a store that has answered once; UsageError if it doesn't."""
    # Anything can come from here: a driver that isn't installed, a plug-in, the network, the file system.
    try:
        path = _sqlite_path(uri)
        if path is not None and not path.exists():
            _create_sqlite(path)
        if _dialect(uri) in DATABASES:
            _probe_database(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:
        raise unusable(uri, error) from None
    return client


def experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    """The experiment called `name`, made if there is none; UsageError if it was deleted."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=_artifact_location(uri)))
        except MlflowException:
            # Another search may have made it in between.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise UsageError(
            f"The MLflow experiment {name!r} at {without_credentials(uri)} was deleted. "
            f"Restore it (mlflow experiments restore -x {experiment.experiment_id}) or give "
            "another name."
        )
    return str(experiment.experiment_id)


def runs_page(store: Path) -> str:
    """Where the MLflow UI over a SQLite file lists the runs of its newest experiment, without the host.

    Its own first page is for language models.
    """
    experiments = connect(f"sqlite:///{store.resolve()}").search_experiments(max_results=1)
    place = f"experiments/{experiments[0].experiment_id}/runs" if experiments else "experiments"
    return f"/#/{place}?workflowType=machine_learning"


def unusable(uri: str, error: Exception) -> UsageError:
    return UsageError(
        f"MLflow can't be used at {without_credentials(uri)}: {reason(error)}\n"
        f"Start that server, or correct the URI or {URI_VARIABLE}. With neither given, raynas "
        "keeps its records in a SQLite file of its own."
    )


def reason(error: Exception) -> str:
    """The first line of an error, without credentials."""
    lines = str(error).strip().splitlines()
    text = without_credentials(lines[0]) if lines else type(error).__name__
    return text if len(text) <= MAX_REASON_LENGTH else text[:MAX_REASON_LENGTH] + "..."


def _dialect(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0]


def _sqlite_path(uri: str) -> Path | None:
    database = sqlalchemy.make_url(uri).database if _dialect(uri) == "sqlite" else None
    return Path(database).absolute() if database and database != ":memory:" else None


def _artifact_location(uri: str) -> str | None:
    path = _sqlite_path(uri)
    return (path.parent / "mlartifacts").as_uri() if path else None


def _create_sqlite(path: Path) -> None:
    """A new store, whole or not there: MLflow makes its tables in many steps, and one of which a killed
    process made a few can't be used any more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _probe_database(f"sqlite:///{temporary}")
        MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
        # Another process may have made it in between; its store is in use already.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _probe_database(uri: str) -> None:
    # One attempt of our own: MLflow would try ten times, and take minutes over it.
    path = _sqlite_path(uri)
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            if path is not None:
                # Fails where the file can't be written or is no database.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        engine.dispose()


HTTP_TOO_MANY_REQUESTS = 429


HTTP_SERVER_ERROR = 500


def is_outage(error: Exception) -> bool:
    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()
        return status >= HTTP_SERVER_ERROR or status == HTTP_TOO_MANY_REQUESTS
    return isinstance(error, OSError | sqlalchemy.exc.SQLAlchemyError)
