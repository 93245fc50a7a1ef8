"""What Ray would print on the terminal about this driver's cluster goes into a file of the run instead."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray._private.worker as ray_worker

from raynas.errors import shortened

RAY_LOG = "ray.log"
"""The file, in a run's folder. It is there only if Ray had something to say."""
_KINDS = {
    "worker died": "a worker process has died",
    "memory pressure": "a node ran out of memory, and Ray ended processes on it: try larger workers.cpus",
    "Memory on the node": "a node ran out of memory, and Ray ended processes on it: try larger workers.cpus",
    "disk": "a node's disk is nearly full",
    "spill": "a node has no memory left for Ray's objects, which go to its disk",
    "cannot be scheduled": "the cluster has no room at present for what was asked for",
}
"""Words in Ray's text, and what they mean."""
_MAX_CHARACTERS = 100
logger = logging.getLogger(__name__)


class RayMessages:
    """Takes Ray's messages. The terminal gets one line about the first of each kind.

    Args:
        folder: the run's, which may not exist yet. None leaves the messages out.
    """

    def __init__(self, folder: Path | None) -> None:
        self._log = folder / RAY_LOG if folder else None
        self._unwritten: list[str] = []
        self._told: set[str] = set()

    def take(self, data: dict[str, Any], ignore_prefix: bool = False) -> None:
        """Stands in for Ray's function that prints, whose arguments it has."""
        for text in data["lines"]:
            self._unwritten.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} ({data.get('pid')}) {text}\n")
            self._tell(text)
        self.write()

    def write(self) -> None:
        """Writes what could not be written until now, as the run's folder did not exist."""
        if self._log is None or not self._unwritten or not self._log.parent.is_dir():
            return
        # A full disk must not end the thread in which Ray calls this.
        with contextlib.suppress(OSError), self._log.open("a") as file:
            file.writelines(self._unwritten)
            self._unwritten.clear()

    def _tell(self, text: str) -> None:
        first = shortened(text.strip().partition("\n")[0], _MAX_CHARACTERS)
        kind = next((kind for words, kind in _KINDS.items() if words in text), first)
        if kind not in self._told:
            self._told.add(kind)
            where = f" (its text is in {self._log})" if self._log else ""
            logger.warning("Ray reports: %s%s", kind, where)


@contextlib.contextmanager
def messages_kept(folder: Path | None) -> Iterator[None]:
    """Keeps Ray's messages off the terminal for the block, in which Ray must be started."""
    messages = RayMessages(folder)
    # Ray has no setting for it: log_to_driver is about the output of workers alone.
    printing = ray_worker.print_to_stdstream
    ray_worker.print_to_stdstream = messages.take
    try:
        yield
    finally:
        ray_worker.print_to_stdstream = printing
        messages.write()
