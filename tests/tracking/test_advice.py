"""S11: every error of MLflow's store has its own advice."""

from __future__ import annotations

import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy

from raynas.errors import UsageError
from raynas.tracking import store as store_module
from raynas.tracking.experiment import check_store

CAUSES = [
    (OSError(28, "No space left on device"), "The disk is full"),
    (sqlite3.OperationalError("database or disk is full"), "The disk is full"),
    (PermissionError(13, "Permission denied"), "may not write"),
    (sqlite3.OperationalError("attempt to write a readonly database"), "may not write"),
    (sqlite3.OperationalError("database is locked"), "Another process"),
    (OSError("Detected out-of-date database schema (found version a)"), "mlflow db upgrade"),
    (OSError("[Errno 111] Connection refused"), "Nothing listens"),
    (OSError("Failed to resolve 'nohost'"), "No machine has this name"),
    (OSError("SSL: WRONG_VERSION_NUMBER"), "http:// and https://"),
    (OSError("Read timed out. (read timeout=15)"), "MLFLOW_HTTP_REQUEST_TIMEOUT"),
    (ModuleNotFoundError("No module named 'psycopg2'"), "driver"),
    (OSError('password authentication failed for user "me"'), "credentials"),
    (ValueError("something new"), "tracking.enabled=false"),
]


def fail(error: Exception) -> None:
    with store_module.store_errors("sqlite:///x.db"):
        raise error


@pytest.mark.parametrize(("error", "words"), CAUSES, ids=[str(error) for error, _ in CAUSES])
def test_s11_a_cause_has_its_advice_also_when_mlflow_wraps_it(error: Exception, words: str) -> None:
    wrapped = RuntimeError("MLflow failed")
    wrapped.__cause__ = error
    for raised in (error, wrapped):
        with pytest.raises(UsageError, match=words):
            fail(raised)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "words"), [(401, "credentials"), (403, "credentials"), (404, "no MLflow"), (500, "log")]
)
def test_s11_a_servers_answer_has_its_advice(tmp_path: Path, status: int, words: str) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(UsageError, match=words):
            check_store(f"http://127.0.0.1:{server.server_port}", tmp_path / "mlflow.db")
        server.shutdown()


def test_s11_a_newer_schema_and_an_unknown_scheme(store: Path) -> None:
    with pytest.raises(UsageError, match="knows no such URI"):
        check_store("nonsense://host", store)
    with sqlalchemy.create_engine(f"sqlite:///{store}").begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = 'ffffffffffff'")
    with pytest.raises(UsageError) as caught:
        check_store(None, store)
    assert "If it was a newer one, install that version" in str(caught.value)
