"""Starts a Ray head for a test, with its own ports, folder and token, and a proxy in front of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 180
# Tests that were started in the background ignore SIGINT, and so would the head and its jobs.
WITH_SIGINT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Head:
    """A running head, and the environment variables that its clients need."""

    port: int
    token: str
    environment: dict[str, str]


@contextlib.contextmanager
def running_head(**resources: int) -> Iterator[Head]:
    """Starts a head. In the end, all of its processes are ended, and no others."""
    # A short path, because that of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="rn-", dir="/tmp"))
    mark = f"RAYNAS_TEST_HEAD={folder.name}"
    token = secrets.token_hex(32)
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text(token)
    environment = _clean_environment() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
    }
    gcs, dashboard, client, agent = _free_ports(4)
    command = ["ray", "start", "--head", "--block", "--disable-usage-stats", "--dashboard-host=127.0.0.1"]
    command += [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
    command += [f"--dashboard-agent-listen-port={agent}", f"--temp-dir={folder / 'ray'}"]
    command += ["--object-store-memory=200000000", *(f"--num-{name}={n}" for name, n in resources.items())]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_SIGINT, *command],
            env=environment | dict([mark.split("=")]),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(dashboard, process, folder / "log")
        yield Head(dashboard, token, environment)
    finally:
        _end_all_with(mark)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Proxy:
    """Forwards connections to a port, and drops all of them on request."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        self.drop()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _clean_environment() -> dict[str, str]:
    """The environment without variables of Ray and MLflow; `python` and `ray` are those of the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def _end_all_with(mark: str) -> None:
    """Ends the processes with SIGTERM, so that they clean up, and after five seconds with SIGKILL."""
    asked = time.monotonic()
    while left := _processes_with(mark):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < asked + 5 else signal.SIGKILL)
        time.sleep(0.2)


def _processes_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
