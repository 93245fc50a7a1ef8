"""The append-only record of a run: one validated JSON event a line. The truth; everything else is a view of
it.

Each event is written before anything is done about it, and the end of each child is flushed to disk, so a
killed driver, or a machine, loses at most the children that were running. A last line that was torn by a
crash or a full disk is dropped; a broken line anywhere else is an error. Nothing is unpickled: a journal from
a stranger is data.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from pydantic import TypeAdapter, ValidationError

from raynas.errors import JournalFailed, RunFolderError
from raynas.files import JOURNAL_FILE
from raynas.run.events import FORMAT, OLDEST_FORMAT, AnyEvent, Event, Proposed, Started

LOCKS = Path("/proc/locks")
"""Linux's list of the file locks that are held."""

_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Event)


class Journal:
    """The file, open for appending by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RunFolderError(
                f"{path} is being written by another process. Wait for that search to end, "
                "or give another --out."
            ) from None

    @classmethod
    def create(cls, path: Path, started: Started) -> Journal:
        """A new journal that opens with `started`; it is there with its first line or not at all.

        Raises:
            RunFolderError: the file exists, or nothing can be made there.
            JournalFailed: the line can't be written.
        """
        if path.exists():
            raise RunFolderError(
                f"{path} exists already. Add --resume to go on with that run, or give another --out."
            )
        begun = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            journal = cls(begun)
        except OSError as error:
            raise RunFolderError(
                f"{path} can't be written: {error.strerror}. Give an --out where you may write."
            ) from error
        try:
            journal.append(started)
            begun.rename(path)
        except BaseException:
            journal.close()
            begun.unlink(missing_ok=True)
            raise
        journal.path = path
        return journal

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, list[Event]]:
        """The journal of an earlier process, without its torn last line, and the events in it."""
        if not path.is_file():
            raise RunFolderError(f"There is no run to resume: {path} does not exist.")
        try:
            journal = cls(path)
        except OSError as error:
            raise RunFolderError(
                f"{path} can't be written: {error.strerror}. Resume the run where its folder can be written."
            ) from error
        try:
            events, intact_bytes = _read(path)
        except RunFolderError:
            journal.close()
            raise
        os.truncate(path, intact_bytes)
        return journal, events

    def append(self, event: AnyEvent) -> None:
        """Writes one event and waits until it is on the disk.

        A proposal isn't waited for: it is lost with the power at worst, and then so is its child's training.

        Raises:
            JournalFailed: it can't be written. What was there before is intact, and nothing else is.
        """
        try:
            self._write(event.model_dump_json().encode() + b"\n")
            if not isinstance(event, Proposed):
                os.fsync(self._file.fileno())
        except OSError as error:
            raise JournalFailed(
                f"{self.path} can't be written: {error.strerror}. What it holds is intact, and the search "
                "ends here. Make room on the disk, or mend it, and go on with --resume."
            ) from error

    def _write(self, line: bytes) -> None:
        """The whole line or nothing of it, as far as that is up to this process."""
        intact_bytes = os.fstat(self._file.fileno()).st_size
        rest = memoryview(line)
        try:
            # A disk that is nearly full takes a part of a line and says so; the rest then raises.
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException:
            # What follows a part of a line would be lost with it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), intact_bytes)
            raise

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def read_events(path: Path) -> list[Event]:
    """The events of a journal, `Started` first, also while another process writes it.

    Raises:
        RunFolderError: no such file, not a journal, or a broken line that is not the last.
    """
    if not path.is_file():
        raise RunFolderError(f"{path} does not exist. A run folder holds a {JOURNAL_FILE}.")
    return _read(path)[0]


def is_being_written(path: Path) -> bool | None:
    """Whether a process that this machine knows of holds the journal's lock; None: the system doesn't tell.

    Only looks: a lock taken to find out would turn away a driver that starts at that moment.
    """
    try:
        lines = LOCKS.read_text().splitlines()
        inode = path.stat().st_ino
    except OSError:
        return None
    # By inode alone: the device is another one than stat's on btrfs and overlays.
    return any(" FLOCK " in line and f":{inode} " in line for line in lines)


def _read(path: Path) -> tuple[list[Event], int]:
    """Events, and how many bytes they take: what follows is a torn line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunFolderError(f"{path} can't be read: {error.strerror}.") from error
    intact_bytes = content.rfind(b"\n") + 1
    if not intact_bytes:
        raise RunFolderError(f"{path} is empty: that run ended before it began. Give another --out.")
    lines = content[: intact_bytes - 1].split(b"\n")
    _check_format(path, lines[0])
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        events.append(_parse(path, number, line))
        if (number == 1) != isinstance(events[-1], Started):
            raise RunFolderError(
                f"{path}, line {number}: a journal opens with one 'started' event, here it is "
                f"{events[-1].kind!r}. The file is no journal of a run."
            )
    return events, intact_bytes


def _check_format(path: Path, line: bytes) -> None:
    """RunFolderError if another version of raynas wrote the journal, in a format that this one can't read."""
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return
    found = first.get("format") if isinstance(first, dict) and first.get("kind") == "started" else None
    # A bool is an int in Python, and no format.
    if type(found) is int and not OLDEST_FORMAT <= found <= FORMAT:
        raise RunFolderError(
            f"{path} is in journal format {found}, written by raynas {str(first.get('raynas'))[:40]!r}; this "
            f"raynas, {version('raynas')}, reads the formats {OLDEST_FORMAT} to {FORMAT}. Read the run, or "
            "go on with it, with the version that wrote it. Nothing was changed."
        )


def _parse(path: Path, number: int, line: bytes) -> Event:
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise RunFolderError(
            f"{path}, line {number}: {where + ': ' if where else ''}{problem['msg']}. The line is damaged or "
            "from another version of raynas; nothing was changed. Put a good copy of the file there, or mend "
            f"the line.{_salvage(path, number)}"
        ) from None


def _salvage(path: Path, number: int) -> str:
    if number == 1:
        return ""
    name = shlex.quote(str(path))
    return (
        f" To give up this line and all that follow, their children are then trained again:\n"
        f"  cp {name} {name}.damaged && head -n {number - 1} {name}.damaged > {name}"
    )
