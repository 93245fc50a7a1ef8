"""Files that are whole or not there, whenever the process is killed, and JSON from anybody. Pure Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from raynas.errors import UsageError

JOURNAL_FILE = "journal.jsonl"
"""In the folder of every run; by it such a folder is known."""
TRAINING_FILE = "training.json"
"""The config of a final training, in its folder; that folder has no journal."""
CURVE_FILE = "curve.jsonl"
"""One line per epoch of a final training."""
LAST_MODEL_FOLDER = "model"
"""The model folder of a final training's last epoch, in the training's folder."""
BEST_MODEL_FOLDER = "best"
"""The model folder of the epoch with the highest top-1, which may be the last epoch too."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make a file beside `path`, which then takes its place in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def create_file(path: Path, content: str) -> None:
    """Writes a new text file.

    Raises:
        UsageError: it exists, or can't be written.
    """
    try:
        with path.open("x") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path} exists already, and is left as it is. Give another --out.") from None
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from error


def drop_torn_line(path: Path) -> None:
    """Takes away what follows the last newline: a line that was being appended when its writer was killed."""
    content = path.read_bytes()
    intact_bytes = content.rfind(b"\n") + 1
    if intact_bytes < len(content):
        os.truncate(path, intact_bytes)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError if it is none, or nested too deeply, or has a number that is too
    long, or half a character.
    """
    return from_json(text.encode() if isinstance(text, str) else text)


def run_around(path: Path) -> Path | None:
    """The run's folder that a file or folder is, or lies in at any depth; None: it is in no run."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if (folder / JOURNAL_FILE).is_file()), None)
