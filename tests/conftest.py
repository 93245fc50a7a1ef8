"""Shared by all tests: how long hypothesis may take, where real data lies, an empty MLflow store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: no example has a deadline.
settings.register_profile("raynas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("raynas")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says which tests stay together when several processes share them: each file, and all that need Ray.

    One Ray and one pool serve all Ray tests, so these go to one process, and first: they take longest.
    """
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)
    for item in items:
        is_ray = item.get_closest_marker("ray") is not None
        item.add_marker(pytest.mark.xdist_group("ray" if is_ray else str(item.path)))


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
    from raynas.tracking.experiment import check_store

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    check_store(f"sqlite:///{path}", path)
    return path
