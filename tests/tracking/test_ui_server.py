"""The server of `raynas ui`: a taken port, a server that doesn't start, and one that is asked and ended."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raynas.errors import TrackingFailed, UsageError
from raynas.tracking import ui_server
from raynas.tracking.ui_server import UiServer

HEALTHY = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *words):
        pass
print("[MLflow] Security middleware enabled", file=sys.stderr, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        number: int = unused.getsockname()[1]
    return number


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def standing_in(program: str, port: int) -> UiServer:
    server = UiServer(Path("mlflow.db"), port)
    server._command = [sys.executable, "-c", program, str(port)]
    return server


def test_a_port_in_use_is_named_with_the_way_out(taken_port: int) -> None:
    with pytest.raises(UsageError, match=rf"Port {taken_port} on 127.0.0.1 can't be used .*--port"):
        UiServer(Path("mlflow.db"), taken_port)


def test_one_worker_and_no_background_jobs(port: int) -> None:
    command = UiServer(Path("mlflow.db"), port)._command
    assert command[command.index("--workers") + 1] == "1"
    assert ui_server.ENVIRONMENT["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_a_server_that_ends_at_once_says_why(port: int) -> None:
    with (
        pytest.raises(TrackingFailed, match=r"exit code 3 .*\n.*no such table") as raised,
        standing_in("import sys; print('no such table', file=sys.stderr); sys.exit(3)", port) as server,
    ):
        server.wait_until_ready()
    assert server.address in str(raised.value)


def test_a_ready_server_is_quiet_and_ends_with_the_block(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with standing_in(HEALTHY, port) as server:
        server.wait_until_ready()
        assert server._process.poll() is None
    assert server._process.poll() is not None
    assert capfd.readouterr() == ("", "")
    # The port is free again.
    UiServer(Path("mlflow.db"), port)


def test_ctrl_c_ends_the_server_without_an_error(port: int) -> None:
    with standing_in(HEALTHY, port) as server:
        server.wait_until_ready()
        raise KeyboardInterrupt
    assert server._process.poll() is not None
