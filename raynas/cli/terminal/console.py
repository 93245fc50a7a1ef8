"""The two consoles that every command prints with: one for results, one for messages.

Neither reads markup, since names of folders and messages of errors may hold any characters, and neither wraps
lines, so that printed commands and paths can be copied.
"""

from __future__ import annotations

import contextlib
import os

from rich.console import Console

WIDE = 160
"""Characters of a line in a file or a pipe."""


def output_console() -> Console:
    """Writes results to stdout."""
    return _console(stderr=False)


def message_console() -> Console:
    """Writes errors and progress to stderr, so that JSON on stdout stays JSON."""
    return _console(stderr=True)


def loading(console: Console) -> contextlib.AbstractContextManager[object]:
    """Shows on a terminal that something is being loaded: importing torch and Ray takes seconds."""
    return console.status("Loading ...") if console.is_terminal else contextlib.nullcontext()


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)
    # A file or a pipe has room for every column of a table, but Rich would assume 80 characters.
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console
