"""What MLflow must be told before it is imported. What the user has set stays, but for one variable."""

from __future__ import annotations

import logging
import os

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Seconds without an answer. MLflow's own 120 s and 7 retries make a quarter of an hour of a mistyped URI.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # The writer tries again by itself, and can be told to stop; MLflow's retries also warn at each attempt.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}


def apply() -> None:
    """Sets the defaults, and quietens the INFO lines of MLflow and of alembic, which makes its tables."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Always: at the end of each run MLflow would print the server's URL, password included, into our table.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)


apply()
