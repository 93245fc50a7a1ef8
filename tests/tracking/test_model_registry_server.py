"""The registry of a real MLflow server: written over HTTP, loaded over HTTP, and one that stops answering."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest

from raynas.models.folder import load_model
from tests.tracking.trained_models import NAME, models, open_tracker, trained

pytestmark = pytest.mark.slow
START_SECONDS = 120


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """Its process and its URI; artifacts go through it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            stdout=log,
            stderr=log,
            start_new_session=True,
            # MLflow's own background jobs, which raynas does not use, would be further processes.
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        wait_for(uri, process, folder / "log")
        yield process, uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(uri: str, process: Any, log: Path) -> None:
    for _ in range(START_SECONDS * 5):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
def environment(server: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names the server, for raynas and for the user alike."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server[1])


@pytest.mark.usefixtures("environment")
def test_what_is_registered_over_http_is_loaded_over_http(tmp_path):
    folders = models(tmp_path)
    registered = trained(tmp_path / "none.db", folders).registered
    assert registered.versions == {"best": 1, "last": 2}
    assert trained(tmp_path / "none.db", folders).registered == registered
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    probabilities_NK = mlflow.pyfunc.load_model(f"models:/{NAME}@best").predict(pictures)
    assert probabilities_NK.shape == (2, load_model(folders["best"]).info.num_classes)
    np.testing.assert_allclose(probabilities_NK.sum(1), 1, atol=1e-5)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.usefixtures("environment")
def test_a_server_that_stops_answering_is_not_waited_for(server, tmp_path, caplog):
    process, _ = server
    tracker = open_tracker(tmp_path / "none.db", run_id="t2")
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        tracker.register(NAME, models(tmp_path))
        tracker.close("FINISHED", timeout=1)
        assert time.monotonic() - began < 30
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    assert tracker.registered is None
    (warning,) = [record for record in caplog.records if record.name == "raynas.tracking"]
    assert "not registered" in warning.getMessage() and str(tmp_path / "best") in warning.getMessage()
