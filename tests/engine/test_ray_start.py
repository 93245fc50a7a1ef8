"""What is said when Ray doesn't start: `ray.init` is replaced by what it raises."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import ray
from ray.exceptions import AuthenticationError
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.cli.terminal import doctor
from raynas.engine.cluster import connected
from raynas.engine.ray_folder import check_ray_folder
from raynas.errors import UsageError

LATE = Exception(
    "The current node timed out during startup. This could happen because some of the raylet failed to "
    "startup or the GCS has become overloaded."
)
TOO_LONG = OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /long/path")
CASES = {
    "late": (LATE, "did not answer in time", "session_latest/logs"),
    "socket path": (TOO_LONG, "107 bytes", "export RAY_TMPDIR=/tmp"),
    "permissions": (
        PermissionError(13, "Permission denied", "/elsewhere/ray"),
        "/elsewhere/ray",
        "RAY_TMPDIR",
    ),
    "read only": (OSError(errno.EROFS, os.strerror(errno.EROFS), "/elsewhere"), "Read-only", "RAY_TMPDIR"),
    "disk full": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left", "RAY_TMPDIR"),
    "disk full, in a log": (RuntimeError("Failed to start: No space left on device"), "Failed", "RAY_TMPDIR"),
    "port": (OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)), "already in use", "end it"),
    "files": (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files", "ulimit -n"),
    "processes": (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "unavailable", "ulimit -u"),
    "token": (AuthenticationError("Token authentication is enabled"), "Token", "RAY_AUTH_TOKEN_PATH"),
    "anything else": (AssertionError("surprise"), "surprise", "raynas doctor"),
}
AT_AN_ADDRESS = {
    "nobody there": (
        ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379"),
        "ray start --head",
    ),
    "late head": (RuntimeError("Failed to connect to GCS within 60 seconds"), "ray status --address"),
    "not a node": (RuntimeError("when trying to resolve node to connect to."), "raynas submit"),
    "versions": (RuntimeError("Version mismatch: The cluster was started with: Ray: 2.9"), "Ray and Python"),
    "address": (ValueError("Malformed address port x. Must be an integer."), "HOST:PORT"),
    "token": (AuthenticationError("no token"), "ray get-auth-token"),
    "permissions": (PermissionError(13, "Permission denied", "/tmp/ray/session"), "Run as the user"),
    "anything else": (Exception("surprise"), "surprise"),
}


COMMANDS = {
    "search": ["search", "--data", "digits"],
    "promote": ["promote", str(Path(__file__).parents[1] / "earlier_version" / "search")],
    "train": ["train", "nasnet_a", "--data", "digits"],
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR", "RAY_GCS_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    # Other tests of this process may have left their Ray running, which stays as it is.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)


def message_of(monkeypatch: pytest.MonkeyPatch, error: Exception, address: str | None = None) -> str:
    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UsageError) as caught, connected(address):
        pytest.fail("Ray has started")
    return str(caught.value)


@pytest.mark.parametrize("case", CASES)
def test_s5_every_exception_of_a_ray_started_here_is_explained(monkeypatch, case):
    error, *words = CASES[case]
    message = message_of(monkeypatch, error)
    assert message.startswith("Ray can't be started on this machine: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("case", AT_AN_ADDRESS)
def test_s5_every_exception_of_a_cluster_is_explained(monkeypatch, case):
    error, words = AT_AN_ADDRESS[case]
    message = message_of(monkeypatch, error, "10.0.0.1:6379")
    assert "'10.0.0.1:6379' (--address)" in message
    assert words in message


def refused_by_a_head() -> Exception:
    """What ray.init of Ray 2.60 raises at a head that asks for a token and gets none, or another one."""
    told = AuthenticationError("RPC error: InvalidAuthToken: Authentication token is missing or incorrect")
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    frames = "".join(f'\n  File "python/ray/_raylet.pyx", line {line}, in ray._raylet' for line in range(20))
    error.__cause__ = RuntimeError(
        "Failed to connect to GCS. Last connection error: Traceback (most recent call last):"
        f"{frames}\nray.exceptions.AuthenticationError: {told}\n"
    )
    return error


@pytest.mark.parametrize(
    ("mode", "advice"),
    [
        (None, "RAY_AUTH_MODE is not set here. Set RAY_AUTH_MODE=token, with the token in ~/.ray/auth_token"),
        ("disabled", "RAY_AUTH_MODE is 'disabled' here. Set RAY_AUTH_MODE=token"),
        ("token", "The token here is not the cluster's."),
    ],
)
def test_a_head_that_refuses_the_token_is_told_from_one_that_does_not_answer(monkeypatch, mode, advice):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    message = message_of(monkeypatch, refused_by_a_head(), "10.0.0.1:6379")
    assert "InvalidAuthToken" in message and "_raylet.pyx" not in message
    assert advice in message and "RAY_AUTH_TOKEN_PATH" in message and "ray get-auth-token" in message


def test_s5_an_address_from_the_environment_is_named_so(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    assert "'10.0.0.9:6379' (RAY_ADDRESS)" in message_of(monkeypatch, ConnectionError("refused"))


def test_s5_the_cause_behind_rays_error_is_quoted(monkeypatch):
    error = ConnectionError("Failed to connect")
    error.__cause__ = RuntimeError("Version mismatch: Ray: 2.9")
    message = message_of(monkeypatch, error, "auto")
    assert "Version mismatch: Ray: 2.9" in message and "Ray and Python" in message


def test_s5_a_port_from_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("RAY_GCS_SERVER_PORT", "6379")
    message = message_of(monkeypatch, RuntimeError("Failed to start GCS."))
    assert "6379" in message and "Unset RAY_GCS_SERVER_PORT" in message


def test_s5_values_of_variables_are_not_shown(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-secret")
    message = message_of(monkeypatch, ValueError("surprise"))
    assert "RAY_AUTH_TOKEN" in message and "a-secret" not in message


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_s5_a_temporary_folder_with_a_long_name_is_named_with_its_variable(monkeypatch, tmp_path, variable):
    """With the real ray.init, which checks the length of its sockets' paths before it starts anything."""
    folder = tmp_path / ("x" * 70)
    folder.mkdir()
    monkeypatch.setenv(variable, str(folder))
    with pytest.raises(UsageError, match="AF_UNIX") as caught, connected():
        pytest.fail("Ray has started")
    assert f"{variable}={folder}" in str(caught.value)
    assert str(caught.value).endswith("export RAY_TMPDIR=/tmp.")


def test_s5_the_longest_folder_that_is_advised_is_one_that_ray_takes(monkeypatch):
    name = "x" * 200
    monkeypatch.setenv("RAY_TMPDIR", f"/tmp/{name}")
    with pytest.raises(UsageError) as caught:
        check_ray_folder()
    allowed = int(str(caught.value).split("at most ")[1].split()[0])
    socket = f"/ray/session_2026-11-29_10-14-40_123456_{os.getpid()}/sockets/plasma_store"
    assert allowed + len(socket) == 107


@pytest.mark.parametrize("kind", ["a file", "no disk left"])
def test_s5_a_folder_that_cant_be_used_is_found_before_ray_starts(monkeypatch, tmp_path, kind):
    folder = tmp_path / "t"
    if kind == "a file":
        folder.write_text("")
    else:
        usage = shutil.disk_usage("/")
        real, full = shutil.disk_usage, type(usage)(usage.total, usage.total, 0)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: full if Path(path) == tmp_path else real(path))
    monkeypatch.setenv("TMPDIR", str(folder))
    with pytest.raises(UsageError, match="RAY_TMPDIR"):
        check_ray_folder()
    # Ray's own error may say something else, or nothing of use.
    assert f"TMPDIR={folder}" in message_of(monkeypatch, LATE)


def test_s5_the_doctor_looks_at_rays_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 70)))
    checks = list(doctor.examine(data="digits", address=None, runs=tmp_path))
    found = {check.name: check for check in checks}
    assert not found["Ray's files"].is_ok and "RAY_TMPDIR" in found["Ray's files"].message
    assert not found["cluster"].is_ok


@pytest.mark.parametrize("command", COMMANDS)
def test_d12_a_ray_that_does_not_start_is_a_message_and_exit_code_2(monkeypatch, tmp_path, command):
    def refuse(**_: object) -> None:
        raise LATE

    monkeypatch.setattr(ray, "init", refuse)
    out = tmp_path / "run"
    words = [*COMMANDS[command], "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--set", "tracking.enabled=false"])
    assert done.exit_code == 2 and "Ray can't be started" in done.output, done.output
    assert not out.exists()
