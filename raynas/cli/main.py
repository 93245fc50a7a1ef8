"""The entry point of the command line."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys

# `raynas --help` lists the commands in the order of these imports.
from raynas.cli import (  # noqa: F401  # isort: skip
    search,
    promote,
    train,
    detect,
    evaluate,
    export,
    convert,
    leaderboard,
    compare,
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
    """Runs the command that sys.argv names."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The name of a file may hold bytes that are not valid Unicode, and printing one must not fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A shell script starts background jobs with SIGINT ignored, and then Python installs no handler for it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # 'my_module:MyClass' may name a file in the working directory. The directory goes last in the path, so
    # that no file in it can hide an installed package.
    sys.path.append(os.getcwd())
    app()
