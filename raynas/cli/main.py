"""The entrance of the command line."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys

# In the order in which `raynas --help` lists them.
from raynas.cli import (  # noqa: F401  # isort: skip
    search,
    promote,
    train,
    export,
    convert,
    leaderboard,
    status,
    spaces,
    show,
    ui,
    doctor,
    sync,
    rescore,
    report,
    benchmark,
)
from raynas.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The `raynas` command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A file's name may be no Unicode.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A job started in the background of a script inherits Ctrl-C as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A class of the user's own may lie in a file in this folder; but none takes an installed module's place.
    sys.path.append(os.getcwd())
    app()
