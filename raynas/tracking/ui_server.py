"""The server of MLflow's UI as a process of its own, quiet unless something goes wrong."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import IO

from raynas.errors import TrackingFailed, UsageError
from raynas.tracking.store import sqlite_uri

HOST = "127.0.0.1"
POLL_SECONDS = 0.2
ANSWER_SECONDS = 5.0
STOP_SECONDS = 10.0
"""Time for the server to end by itself."""
SHOWN_LINES = 20
"""Number of its last lines that the message about a server that did not start shows."""
ENVIRONMENT = {
    # MLflow's own background jobs, which raynas does not use, would be further processes.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Warnings about what MLflow's own code imports.
    "PYTHONWARNINGS": "ignore",
}
NOT_AN_ERROR = "[MLflow] Security middleware enabled"
"""How the one line begins that MLflow writes to stderr at each start."""


class UiServer:
    """The server, started by `with` and ended at the block's end.

    Args:
        store: a SQLite file that exists.
        port: on 127.0.0.1.

    Attributes:
        address: its URL, without a path.

    Raises:
        UsageError: another process listens on the port.
    """

    def __init__(self, store: Path, port: int) -> None:
        _check_port(port)
        self.address = f"http://{HOST}:{port}"
        self._port = port
        words = ["server", "--backend-store-uri", sqlite_uri(store.resolve()), "--host", HOST]
        words += ["--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
        self._command = [sys.executable, "-m", "mlflow", *words]
        self._is_ready = False
        self._lines: deque[str] = deque(maxlen=SHOWN_LINES)

    def __enter__(self) -> UiServer:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=os.environ | ENVIRONMENT,
            # Ctrl-C reaches this process alone, which then ends the server: once, and in order.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        self._former_handler = signal.signal(signal.SIGTERM, lambda *_: self._process.terminate())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Ends the server; Ctrl-C is the usual way to end it and no error."""
        signal.signal(signal.SIGTERM, self._former_handler)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        # Its own processes have its number as their group; none is left if it ended in order.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return kind is KeyboardInterrupt

    def wait_until_ready(self) -> None:
        """Returns once the server answers.

        Raises:
            TrackingFailed: it has ended before; the message has its last lines.
        """
        while not self._answers():
            if self._process.poll() is not None:
                self._reader.join(ANSWER_SECONDS)
                shown = "\n".join(self._lines)
                raise TrackingFailed(
                    f"The MLflow server ended with exit code {self._process.returncode} before it answered "
                    f"on {self.address}. Its last lines:\n{shown}"
                )
            time.sleep(POLL_SECONDS)
        self._is_ready = True

    def wait(self) -> None:
        """Returns when the server has ended."""
        self._process.wait()

    def _answers(self) -> bool:
        # Not urllib, which would ask a proxy for 127.0.0.1 if one is set.
        connection = http.client.HTTPConnection(HOST, self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _read(self, stream: IO[str]) -> None:
        """Keeps what the server says while it starts, and passes on what it says later."""
        for line in stream:
            if line.startswith(NOT_AN_ERROR):
                continue
            self._lines.append(line.rstrip("\n"))
            if self._is_ready:
                print(line, end="", file=sys.stderr, flush=True)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server does: a port whose last connections are still closing can be used again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} on {HOST} can't be used ({error.strerror}), perhaps because of an earlier "
                "'raynas ui'. End that, or name another port with --port."
            ) from None
