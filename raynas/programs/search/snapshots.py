"""What a strategy has learned, kept beside the journal, so that a resume need not learn it again.

A view of the journal: it says by its length and SHA-256 what it was made from. Where it is damaged, or of
another journal, it isn't used, and all is learned anew from the events, to the same end. Nothing is
unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.numpy
from safetensors import safe_open

from raynas.errors import RunFolderError
from raynas.files import replace_file
from raynas.run.records import RunListener
from raynas.strategies.strategy import Strategy

if TYPE_CHECKING:
    from raynas.strategies.strategy import Array

FILE_NAME = "learned.safetensors"
UPDATES = 10
"""Between one snapshot and the next; of the paper's controller they take a third of a second to learn."""


class Snapshots(RunListener):
    """Writes a snapshot of the strategy every few updates.

    Args:
        journal: the file; the snapshot is beside it, and of the events that are in it.
    """

    def __init__(self, strategy: Strategy, journal: Path) -> None:
        self.strategy = strategy
        self.path = journal.with_name(FILE_NAME)
        self._journal = _Prefix(journal)
        self._num_updates = 0
        self._is_live = False

    def recall(self) -> int:
        """Before the journal is replayed: gives the strategy the last snapshot, if there is one of use.

        Returns:
            How many updates that saves.
        """
        # Everything: safetensors lets through KeyError, TypeError, MemoryError, ... beside its own errors.
        with contextlib.suppress(Exception):
            arrays, metadata = _read(self.path)
            if metadata == self._metadata(arrays, num_bytes=int(metadata["journal_bytes"])):
                self._num_updates = -self.strategy.recall(arrays)
        return -self._num_updates

    def replayed(self) -> None:
        if self.strategy.is_behind:
            raise RunFolderError(
                f"{self.path} knows of more updates than the journal beside it: it was changed by hand. "
                "Delete it; the journal alone is enough to go on with the run."
            )
        self._is_live = True

    def policy_updated(self, statistics: dict[str, float]) -> None:
        self._num_updates += 1
        if self._is_live and self._num_updates >= UPDATES:
            self._num_updates = 0
            self._write()

    def _write(self) -> None:
        arrays = self.strategy.learned()
        if arrays is None:
            return
        content = safetensors.numpy.save(dict(arrays), self._metadata(arrays))
        # A full disk costs time at the next resume, and nothing else.
        with contextlib.suppress(OSError):
            replace_file(self.path, lambda path: path.write_bytes(content))

    def _metadata(self, arrays: Mapping[str, Array], *, num_bytes: int | None = None) -> dict[str, str]:
        """Of a snapshot of the journal's first bytes; None: of all that are there."""
        length, digest = self._journal.sha256(num_bytes)
        return {
            "journal_bytes": str(length),
            "journal_sha256": digest,
            "arrays_sha256": arrays_sha256(arrays),
        }


class _Prefix:
    """The first bytes of a file that grows, and their SHA-256; each byte is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest, self._length = hashlib.sha256(), 0

    def sha256(self, length: int | None) -> tuple[int, str]:
        """How many bytes, `length` at most and no fewer than the last time, and their digest."""
        with self.path.open("rb") as file:
            file.seek(self._length)
            read = file.read(None if length is None else length - self._length)
        self._digest.update(read)
        self._length += len(read)
        return self._length, self._digest.hexdigest()


def arrays_sha256(arrays: Mapping[str, Array]) -> str:
    """Of names and contents; safetensors itself notices no changed bit."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
