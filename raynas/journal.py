"""The append-only record of a run: one validated JSON event a line. The truth; everything else is a view of
it.

Each event is written before anything is done about it, and the end of each child is flushed to disk, so a
killed driver, or a machine, loses at most the children that were running. A last line that was torn by a
crash is dropped; a broken line anywhere else is an error. Nothing is unpickled: a journal from a stranger is
data.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from raynas.child import ChildResult
from raynas.config import FrozenModel
from raynas.errors import RunFolderError

FILE_NAME = "journal.jsonl"
LOCKS = Path("/proc/locks")
"""Linux's list of the file locks that are held."""

Time = Annotated[float, Field(ge=0, lt=253402300800)]
"""Seconds since 1970; up to the year 9999."""


class Driver(FrozenModel):
    """The process that runs a search."""

    host: str
    slots: int = Field(ge=1)
    """Children that it trains at the same time."""
    machine: str = ""
    """Its processors, memory and GPUs; empty: not known. Workers may be on other machines."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of Python and packages."""


class Started(FrozenModel):
    """First line: what run this is."""

    kind: Literal["started"] = "started"
    format: Literal[1] = 1
    run_id: str
    raynas: str
    """Version that wrote it."""
    time: Time
    config: dict[str, Any]
    driver: Driver | None = None
    """None: not known, here and below."""


class Proposed(FrozenModel):
    """A strategy's proposal, which is a child from now on; `child` is the proposal's id."""

    kind: Literal["proposed"] = "proposed"
    child: int = Field(ge=0)
    time: Time
    actions: tuple[int, ...]
    arch_id: str = Field(pattern="^[0-9a-f]{12}$")
    parameters: int | None = None
    mult_adds: int | None = None
    activations: int | None = None
    info: dict[str, Any] = Field(default_factory=dict)


class Finished(FrozenModel):
    """A child's end; the strategy observed `reward`."""

    kind: Literal["finished"] = "finished"
    child: int = Field(ge=0)
    time: Time
    reward: float | None
    result: ChildResult
    reused_from: int | None = Field(None, ge=0)
    """The child of the same architecture whose score this is; None: it was trained itself."""


class Resumed(FrozenModel):
    """A new driver took over; unfinished children go back to the queue."""

    kind: Literal["resumed"] = "resumed"
    time: Time
    children: int
    """How many children the run is to have from now on."""
    driver: Driver | None = None


Event = Annotated[Started | Proposed | Finished | Resumed, Field(discriminator="kind")]
_EVENT: TypeAdapter[Started | Proposed | Finished | Resumed] = TypeAdapter(Event)


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
        """A new journal that opens with `started`; RunFolderError if the file exists."""
        if path.exists():
            raise RunFolderError(
                f"{path} exists already. Add --resume to go on with that run, or give another --out."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = cls(path)
        journal.append(started)
        return journal

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, list[Event]]:
        """The journal of an earlier process, without its torn last line, and the events in it."""
        if not path.is_file():
            raise RunFolderError(f"There is no run to resume: {path} does not exist.")
        journal = cls(path)
        try:
            events, intact_bytes = _read(path)
        except RunFolderError:
            journal.close()
            raise
        os.truncate(path, intact_bytes)
        return journal, events

    def append(self, event: Started | Proposed | Finished | Resumed) -> None:
        """Writes one event and waits until it is on the disk.

        A proposal isn't waited for: it is lost with the power at worst, and then so is its child's training.
        """
        line = memoryview(event.model_dump_json().encode() + b"\n")
        # A disk that is nearly full takes a part of a line and says so; the rest then raises.
        while line:
            line = line[self._file.write(line) :]
        if not isinstance(event, Proposed):
            os.fsync(self._file.fileno())

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
        raise RunFolderError(f"{path} does not exist. A run folder holds a {FILE_NAME}.")
    return _read(path)[0]


def recorded_config(events: Sequence[Event]) -> dict[str, Any]:
    """The config that a run was started with, and the number of children that it was last asked for."""
    started = events[0]
    assert isinstance(started, Started)
    targets = [event.children for event in events if isinstance(event, Resumed)]
    return started.config | {"children": targets[-1]} if targets else started.config


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
    content = path.read_bytes()
    intact_bytes = content.rfind(b"\n") + 1
    events: list[Event] = []
    for number, line in enumerate(content[:intact_bytes].splitlines(), start=1):
        events.append(_parse(path, number, line))
        if (number == 1) != isinstance(events[-1], Started):
            raise RunFolderError(
                f"{path}, line {number}: a journal opens with one 'started' event, here it is "
                f"{events[-1].kind!r}. The file is no journal of a run."
            )
    if not events:
        raise RunFolderError(f"{path} is empty: that run ended before it began. Give another --out.")
    return events, intact_bytes


def _parse(path: Path, number: int, line: bytes) -> Event:
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise RunFolderError(
            f"{path}, line {number}: {where + ': ' if where else ''}{problem['msg']}. The line is "
            "damaged or from another version of raynas; nothing was changed."
        ) from None
