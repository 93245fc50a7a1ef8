"""MLflow's store: which URI it has, whether it can be used, and how errors are shown without its password."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from raynas.config import without_credentials
from raynas.errors import UsageError, shortened
from raynas.tracking.advice import advice
from raynas.tracking.moved_store import ARTIFACTS_FOLDER, follow_its_folder

URI_VARIABLE = "MLFLOW_TRACKING_URI"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
MAX_ERROR_LENGTH = 400
"""Number of characters of an error of MLflow that messages show."""


def resolved_uri(uri: str | None, default_store: Path) -> str:
    """The given URI, else MLFLOW_TRACKING_URI, else the SQLite file `default_store`; with its credentials."""
    return uri or os.environ.get(URI_VARIABLE) or sqlite_uri(default_store.absolute())


def sqlite_uri(path: Path) -> str:
    """The URI of a SQLite file, readable as long as its path has no character that means something there."""
    uri = f"sqlite:///{path}"
    if sqlalchemy.make_url(uri).database == str(path):
        return uri
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def connect(uri: str) -> MlflowClient:
    """A client of a store that has answered one request; UsageError if it doesn't answer.

    If a SQLite store was moved or copied with its folder, its paths follow.
    """
    with store_errors(uri):
        path = _sqlite_path(uri)
        if path is not None and not path.exists():
            _create_sqlite(path)
        if _dialect(uri) in DATABASES:
            _probe_database(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
        if path is not None:
            # Last, once MLflow has found its tables.
            follow_its_folder(uri, path)
    return client


@contextlib.contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns any error of the block into a UsageError that names the store, what went wrong and what to do."""
    try:
        yield
    except UsageError:
        raise
    # Any exception can come from here: a database driver that isn't installed, a plug-in, the network.
    except Exception as error:
        raise UsageError(
            f"MLflow can't be used at {without_credentials(uri)}: {error_text(error)}\n{advice(error, uri)}"
        ) from None


def error_text(error: Exception) -> str:
    """The first line of an error, without credentials."""
    lines = str(error).strip().splitlines()
    return shortened(without_credentials(lines[0]) if lines else type(error).__name__, MAX_ERROR_LENGTH)


def _dialect(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0]


def _sqlite_path(uri: str) -> Path | None:
    database = sqlalchemy.make_url(uri).database if _dialect(uri) == "sqlite" else None
    return Path(database).absolute() if database and database != ":memory:" else None


def artifact_location(uri: str) -> str | None:
    """Where the artifacts of a new experiment go: beside a SQLite store, else where the server says."""
    path = _sqlite_path(uri)
    return (path.parent / ARTIFACTS_FOLDER).as_uri() if path else None


def _create_sqlite(path: Path) -> None:
    """Creates a store in one step: at any time the file is either complete or missing.

    MLflow creates its tables one after the other, and can't use a file whose creation was interrupted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _probe_database(sqlite_uri(temporary))
        MlflowClient(tracking_uri=sqlite_uri(temporary)).search_experiments(max_results=1)
        # Another process may have created the file in between, and may be using it already.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _probe_database(uri: str) -> None:
    # A single attempt of our own comes first: MLflow would try ten times and take minutes.
    path = _sqlite_path(uri)
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            if path is not None:
                # This fails if the file can't be written or is no database.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        engine.dispose()


def is_outage(error: Exception) -> bool:
    """Whether the store as a whole doesn't answer, so that the same request may succeed later."""
    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()
        return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return isinstance(error, OSError | sqlalchemy.exc.SQLAlchemyError)
