"""Shared by all tests: how long hypothesis may take, where real data lies, an empty MLflow store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: no example has a deadline.
settings.register_profile("raynas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("raynas")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that need Ray first: they take longest, and one process has to run them all.

    Before them come the tests of a Ray that can't be started, as the one of the others goes on running.
    """
    items.sort(
        key=lambda item: (item.path.name != "test_ray_start.py", item.get_closest_marker("ray") is None)
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How several processes share the tests: file by file, and tests/ray as one, as it shares one Ray.

    pytest-xdist's own `--dist loadgroup` would do, but finds no groups under pytest 9.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "tests/ray" if nodeid.startswith("tests/ray/") else nodeid.partition("::")[0]

    return ByFile(config, log)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; skips where there is none."""
    folder = Path(
        os.environ.get("RAYNAS_TEST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")
    ).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set RAYNAS_TEST_DATA")
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running object store that holds `tmp_path`: the query that follows s3://right:secret@bucket/FOLDER."""
    from tests.data.stream.s3_server import served

    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with served(tmp_path) as query:
        yield query


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store to be copied: making its tables takes seconds."""
    # Here: most tests need no MLflow, whose import takes seconds too.
    from raynas.tracking.experiment import check_store

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    check_store(f"sqlite:///{path}", path)
    return path
