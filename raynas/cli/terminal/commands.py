"""Commands that the user is told to type next."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def program() -> str:
    """How this program was called, so that a printed command can be typed as it is."""
    called = Path(sys.argv[0])
    if called.name != "raynas":
        return f"{shlex.quote(os.path.relpath(sys.executable))} -m raynas"
    return shlex.quote(os.path.relpath(called)) if "/" in sys.argv[0] else "raynas"


def this_command() -> str:
    """The whole command line of this process."""
    return f"{program()} {shlex.join(sys.argv[1:])}"


def resume_search(folder: Path) -> str:
    return f"{program()} search --out {shlex.quote(str(folder))} --resume"


def resume_training(folder: Path, command: str = "train") -> str:
    return f"{program()} {command} --out {shlex.quote(str(folder))} --resume"
