"""Files that are written completely or not at all, and JSON that anybody may have written. Pure Python."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic_core import from_json

from raynas.errors import UsageError

JOURNAL_FILE = "journal.jsonl"
"""Name of the journal. A folder that holds one is the folder of a run."""
TRAINING_FILE = "training.json"
"""Config of a final training, in its folder, which has no journal."""
CURVE_FILE = "curve.jsonl"
"""Scores of a final training, one line per epoch."""
CHECKPOINTS_FOLDER = "checkpoints"
"""Where Ray Train keeps the checkpoints of a final training, each in a folder named after its time."""
STATE_FILE = "state.pt"
"""FinalTraining.state_dict, in the folder of a checkpoint."""
LAST_MODEL_FOLDER = "model"
"""Model folder of the last epoch, in a training's folder."""
BEST_MODEL_FOLDER = "best"
"""Model folder of the epoch with the highest top-1, which may be the last epoch too."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Replaces the file at `path` in one step by the one that `write` makes.

    A process that is killed at any time leaves either the old file or the new one.

    Args:
        write: called with a temporary path in the same folder, where it writes the new content.
    """
    # In the same folder, hence on the same file system: only there is a rename a single step.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put_new_file(temporary: Path, path: Path) -> None:
    """Gives the complete file `temporary` the name `path`, in the same folder, unless that name is taken.

    Of two processes that want the name at the same time, one gets it.

    Raises:
        FileExistsError: the name is taken; both files are as they were.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: the name is taken by an empty file, which is then replaced.
        path.open("xb").close()
        os.replace(temporary, path)
    else:
        temporary.unlink()


class LineFile:
    """A file that only ever grows, by whole lines, and that one process at a time has open.

    Raises:
        BlockingIOError: another process has it open.
        OSError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        # Without a buffer in this process, a line that `append` has written is the kernel's, and outlives a
        # kill.
        self._file = path.open("ab", buffering=0)
        try:
            # The kernel releases this lock however the process ends. A lock file would stay behind a process
            # that is killed.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise

    def append(self, line: bytes, *, waits_for_disk: bool = True) -> None:
        """Writes the whole line or nothing of it, as far as this process can make sure of that.

        Args:
            line: with its newline.
            waits_for_disk: return when the line would survive a power failure.
        Raises:
            OSError: it can't be written. The file is as it was before.
        """
        intact_bytes = os.fstat(self._file.fileno()).st_size
        rest = memoryview(line)
        try:
            # A disk that is nearly full takes a part of the line, as the return value says. Only the attempt
            # to write the rest raises.
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException:
            # If a part of a line stayed, the next one would be appended to it, and both would be lost.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), intact_bytes)
            raise
        if waits_for_disk:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def create_file(path: Path, content: str) -> None:
    """Writes a new text file.

    Raises:
        UsageError: the file exists already, or can't be written.
    """
    try:
        with path.open("x") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path} exists already, and is left as it is. Choose another path.") from None
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from error


def try_writing(folder: Path) -> Path:
    """Writes a file and removes it, in `folder` or in the nearest folder above it that exists.

    Returns:
        The folder in which the file was written.
    Raises:
        OSError: it can't be written; `filename` is the folder.
    """
    # Not Path.exists, which raises on a name that is too long.
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    try:
        with tempfile.NamedTemporaryFile(dir=existing) as file:
            file.write(b"raynas")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(existing)) from error
    return existing


def drop_torn_line(path: Path) -> None:
    """Cuts off what follows the last newline: a line whose writer was killed while appending it."""
    content = path.read_bytes()
    intact_bytes = content.rfind(b"\n") + 1
    if intact_bytes < len(content):
        os.truncate(path, intact_bytes)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or holds a number that is too long or half of
            a surrogate pair.
    """
    # Not the standard library's parser: that one raises RecursionError on deep nesting and accepts half of a
    # surrogate pair, which no file can hold.
    return from_json(text.encode() if isinstance(text, str) else text)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, by whatever links and mounts; False if one is gone."""
    try:
        return one == other or os.path.samefile(one, other)
    except OSError:
        return False


def run_around(path: Path) -> Path | None:
    """The folder of the run that a path is, or lies in at any depth; None if it lies in no run."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if (folder / JOURNAL_FILE).is_file()), None)
