"""Shared by all tests: how long hypothesis may take, where real data lies, an empty MLflow store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: no example has a deadline.
settings.register_profile("raynas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("raynas")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; skips where there is none."""
    folder = Path(
        os.environ.get("RAYNAS_TEST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")
    ).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set RAYNAS_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store to be copied: making its tables takes seconds."""
    # Here: most tests need no MLflow, whose import takes seconds too.
    from raynas.tracking.store import check_store

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    check_store(f"sqlite:///{path}", path)
    return path
