"""Environment variables that MLflow reads during its import. All but one keep a value set by the user."""

from __future__ import annotations

import logging
import os

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Seconds to wait for an answer. With MLflow's own 120 s and 7 retries, a mistyped URI costs 15 minutes.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # Our writer retries by itself and can be stopped; MLflow's retries can't, and warn at each attempt.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}


def apply() -> None:
    """Sets the defaults and silences the INFO lines of MLflow and of alembic, which creates its tables."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Always set: at the end of each run MLflow would print the server's URL, password included, to stdout.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)


apply()
