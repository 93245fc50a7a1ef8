"""The append-only record of a run, one validated JSON event a line. All views of a run are made of it.

Each event is written before anything is done about it, and the end of each child is flushed to disk. So a
driver that is killed, or whose machine is, loses at most the children that were running. A last line that was
torn by a crash or a full disk is dropped; a broken line anywhere else is an error. Nothing is unpickled, so
that a journal from a stranger is harmless.
"""

from __future__ import annotations

import json
import os
import shlex
import uuid
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from pydantic import TypeAdapter, ValidationError

from raynas.errors import JournalFailed, RunFolderError
from raynas.files import JOURNAL_FILE, LineFile, put_new_file
from raynas.run.events import JOURNAL_FORMAT, OLDEST_JOURNAL_FORMAT, AnyEvent, Event, Proposed, Started

LOCKS = Path("/proc/locks")
"""Linux's list of the file locks that are held."""

_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Event)


class Journal:
    """The file, open for appending by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = LineFile(path)
        except BlockingIOError:
            raise RunFolderError(
                f"{path} is being written by another process. Wait for that search to end, "
                "or choose another folder."
            ) from None

    @classmethod
    def create(cls, path: Path, started: Started) -> Journal:
        """A new journal whose first event is `started`. The file appears with that line or not at all.

        Raises:
            RunFolderError: the file exists, or nothing can be made there.
            JournalFailed: the line can't be written.
        """
        if path.exists():
            raise _is_there(path)
        # An empty journal would be taken for a damaged run, so the file gets its name after its first line.
        # The lock is on the open file and stays with it. No other process or thread has the temporary name.
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            journal = cls(temporary)
        except OSError as error:
            raise RunFolderError(
                f"{path} can't be written: {error.strerror}. Choose a folder where you may write."
            ) from error
        try:
            journal.append(started)
            put_new_file(temporary, path)
        except BaseException as error:
            journal.close()
            temporary.unlink(missing_ok=True)
            if isinstance(error, FileExistsError):
                raise _is_there(path) from None
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
            # Read under the lock, or a line that another driver is writing would be cut off as torn.
            events, intact_bytes = _read(path)
        except RunFolderError:
            journal.close()
            raise
        os.truncate(path, intact_bytes)
        return journal, events

    def append(self, event: AnyEvent) -> None:
        """Writes one event and waits until it is on the disk.

        A proposal isn't waited for. If the power fails it may be lost, but then its child's training is too.

        Raises:
            JournalFailed: it can't be written. The file is as it was before.
        """
        try:
            line = event.model_dump_json().encode() + b"\n"
            self._file.append(line, waits_for_disk=not isinstance(event, Proposed))
        except OSError as error:
            raise JournalFailed(
                f"{self.path} can't be written: {error.strerror}. What it holds is intact, and the search "
                "ends here. Make room on the disk, or repair it, and resume the search."
            ) from error

    def close(self) -> None:
        """Closes the file, which releases its lock."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def _is_there(path: Path) -> RunFolderError:
    return RunFolderError(
        f"{path} exists already. Resume that run (--resume, resume=True) once no other process writes it, "
        "or choose another folder."
    )


def read_events(path: Path) -> list[Event]:
    """The events of a journal, the first of them `Started`; another process may be writing it.

    Raises:
        RunFolderError: no such file, not a journal, or a broken line that is not the last.
    """
    if not path.is_file():
        raise RunFolderError(f"{path} does not exist. A run folder holds a {JOURNAL_FILE}.")
    return _read(path)[0]


def is_being_written(path: Path) -> bool | None:
    """Whether a process on this machine holds the journal's lock. None means that the system doesn't tell.

    It reads the system's list of locks. To try and take the lock would turn away a driver that starts at that
    moment.
    """
    try:
        lines = LOCKS.read_text().splitlines()
        inode = path.stat().st_ino
    except OSError:
        return None
    # Found by the inode alone: on btrfs and overlay file systems the list has another device than stat.
    return any(" FLOCK " in line and f":{inode} " in line for line in lines)


def _read(path: Path) -> tuple[list[Event], int]:
    """The events, and how many bytes they take; what follows these bytes is a torn line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunFolderError(f"{path} can't be read: {error.strerror}.") from error
    intact_bytes = content.rfind(b"\n") + 1
    if not intact_bytes:
        raise RunFolderError(f"{path} is empty: that run ended before it began. Choose another folder.")
    # Without the last newline, after which split would give one more, empty line.
    lines = content[: intact_bytes - 1].split(b"\n")
    # First, because events of a newer format would only give a puzzling message about some field.
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
    # What is no JSON is reported with its line by _parse. A line of many brackets exhausts the parser's
    # recursion.
    except (ValueError, RecursionError):
        return
    found = first.get("format") if isinstance(first, dict) and first.get("kind") == "started" else None
    # isinstance would let `true` through, which is an int in Python.
    if type(found) is int and not OLDEST_JOURNAL_FORMAT <= found <= JOURNAL_FORMAT:
        raise RunFolderError(
            f"{path} is in journal format {found}, written by raynas {str(first.get('raynas'))[:40]!r}; this "
            f"raynas, {version('raynas')}, reads the formats {OLDEST_JOURNAL_FORMAT} to {JOURNAL_FORMAT}. "
            "Read the run, or go on with it, with the version that wrote it. Nothing was changed."
        )


def _parse(path: Path, number: int, line: bytes) -> Event:
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise RunFolderError(
            f"{path}, line {number}: {where + ': ' if where else ''}{problem['msg']}. The line is damaged or "
            "from another version of raynas; nothing was changed. Put a good copy of the file there, or "
            f"repair the line.{_salvage(path, number)}"
        ) from None


def _salvage(path: Path, number: int) -> str:
    if number == 1:
        return ""
    name = shlex.quote(str(path))
    return (
        f" To give up this line and all that follow, their children are then trained again:\n"
        f"  cp {name} {name}.damaged && head -n {number - 1} {name}.damaged > {name}"
    )
