"""The folder in which a Ray that is started on this machine keeps its sockets and logs. Pure Python."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from raynas.errors import UsageError
from raynas.files import try_writing

MAX_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""What the operating system allows for the path of a socket."""
MIN_FREE_MB = 100.0
"""Free disk space below which the processes of Ray fail to write their logs while they start."""
_SETTING = "RAY_TMPDIR"
# Ray takes the first of them that is set; TMPDIR on Linux alone.
_VARIABLES = (_SETTING, "TMPDIR") if sys.platform.startswith("linux") else (_SETTING,)


def ray_folder() -> Path:
    """Where a Ray that is started here would keep its files."""
    return _chosen()[1] / "ray"


def check_ray_folder() -> str:
    """Says where Ray's files go.

    Raises:
        UsageError: Ray can't keep its files there.
    """
    fault = folder_fault()
    if fault is not None:
        raise UsageError(f"{fault}. {folder_advice()}")
    return f"{ray_folder()} is writable"


def folder_fault() -> str | None:
    """Why Ray can't keep its files in its folder; None if nothing is wrong with it."""
    return _fault(_chosen()[1])


def folder_advice() -> str:
    """Says which environment variable names Ray's folder, and what to set it to."""
    variable, parent = _chosen()
    source = f"{variable}={parent}" if variable else f"{parent}, its default"
    usable = next((folder for folder in _candidates() if folder != parent and _fault(folder) is None), None)
    example = f": export {_SETTING}={usable}" if usable else ""
    return (
        f"Ray keeps its files below {source}. Set {_SETTING} to a folder on a disk of this machine that "
        f"you can write to, whose path has at most {_max_bytes()} bytes{example}"
    )


def _chosen() -> tuple[str | None, Path]:
    """The variable that says where Ray's folder is, if one does, and the folder around it."""
    name = next((name for name in _VARIABLES if name in os.environ), None)
    return name, Path(os.environ[name] if name else "/tmp")


def _candidates() -> list[Path]:
    # A folder /tmp/ray may belong to somebody else.
    return [Path("/tmp"), Path(f"/tmp/ray-{os.getuid()}"), Path("/var/tmp")]


def _fault(parent: Path) -> str | None:
    num_bytes = len(os.fsencode(parent)) - _max_bytes()
    if num_bytes > 0:
        return (
            f"Below {parent}, the paths of Ray's sockets are {num_bytes} bytes longer than the system allows"
        )
    try:
        existing = try_writing(parent / "ray")
        free = shutil.disk_usage(existing).free / 1e6
    except OSError as error:
        return f"{error.filename} is not writable: {error.strerror}"
    return f"Only {free:.0f} MB are free in {existing}" if free < MIN_FREE_MB else None


def _max_bytes() -> int:
    """How long the path around Ray's folder may be."""
    # Ray names a session after the time, with microseconds, and after the process that starts it.
    longest = f"/ray/session_2026-01-01_00-00-00_000000_{os.getpid()}/sockets/plasma_store"
    return MAX_SOCKET_BYTES - len(longest)
