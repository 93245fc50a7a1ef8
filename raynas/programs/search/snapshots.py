"""Snapshots of what a strategy has learned, beside the journal, so that a resume need not learn it again.

A snapshot is a view of the journal and names the part that it was made from, by length and SHA-256. One that
is damaged, or of another journal, is ignored: the strategy then learns from all events again and ends in the
same state. Nothing is unpickled.
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

SNAPSHOT_FILE = "learned.safetensors"
UPDATES_PER_SNAPSHOT = 10
"""Number of updates between two snapshots; the paper's controller learns as many in a third of a second."""


class Snapshots(RunListener):
    """Writes a snapshot of the strategy every few updates.

    Args:
        journal: path of the journal; the snapshot is written beside it.
    """

    def __init__(self, strategy: Strategy, journal: Path) -> None:
        self.strategy = strategy
        self.path = journal.with_name(SNAPSHOT_FILE)
        self._journal = _Prefix(journal)
        self._num_updates = 0
        self._is_live = False

    def recall(self) -> int:
        """Gives the strategy the last snapshot, if it is usable; called before the journal is replayed.

        Returns:
            Number of updates that the replay need not compute.
        """
        # Any exception: for damaged files safetensors raises KeyError, TypeError, MemoryError and others
        # beside its own errors.
        with contextlib.suppress(Exception):
            arrays, metadata = _read(self.path)
            if metadata == self._metadata(arrays, num_bytes=int(metadata["journal_bytes"])):
                self._num_updates = -self.strategy.recall(arrays)
        return -self._num_updates

    def replayed(self) -> None:
        if self.strategy.is_behind:
            raise RunFolderError(
                f"{self.path} knows of more updates than the journal beside it: it was changed by hand. "
                "Delete it; the journal alone is enough to resume the run."
            )
        self._is_live = True

    def policy_updated(self, statistics: dict[str, float]) -> None:
        self._num_updates += 1
        if self._is_live and self._num_updates >= UPDATES_PER_SNAPSHOT:
            self._num_updates = 0
            self._write()

    def _write(self) -> None:
        arrays = self.strategy.learned()
        if arrays is None:
            return
        content = safetensors.numpy.save(dict(arrays), self._metadata(arrays))
        # Without a snapshot, for example on a full disk, the next resume takes longer; nothing is lost.
        with contextlib.suppress(OSError):
            replace_file(self.path, lambda path: path.write_bytes(content))

    def _metadata(self, arrays: Mapping[str, Array], *, num_bytes: int | None = None) -> dict[str, str]:
        """Metadata of a snapshot made from the first `num_bytes` of the journal; None means all of them."""
        length, digest = self._journal.sha256(num_bytes)
        return {
            "journal_bytes": str(length),
            "journal_sha256": digest,
            "arrays_sha256": arrays_sha256(arrays),
        }


class _Prefix:
    """SHA-256 of the first bytes of a growing file; each byte is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._length = 0

    def sha256(self, length: int | None) -> tuple[int, str]:
        """Number of bytes, and their digest.

        Args:
            length: at most so many bytes, and not fewer than in the last call; None means all.
        """
        with self.path.open("rb") as file:
            file.seek(self._length)
            read = file.read(None if length is None else length - self._length)
        self._digest.update(read)
        self._length += len(read)
        return self._length, self._digest.hexdigest()


def arrays_sha256(arrays: Mapping[str, Array]) -> str:
    """Digest of names and contents; safetensors itself doesn't notice a changed bit."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
