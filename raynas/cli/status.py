"""`raynas status`."""

from __future__ import annotations

import socket
import time
from typing import Annotated, Literal

import typer

from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.status import print_status, status_json
from raynas.files import JOURNAL_FILE
from raynas.run.folder import find_run
from raynas.run.journal import is_being_written, read_events
from raynas.run.status import driver_state, status_of


@app.command()
@reports_errors
def status(
    run: RunArgument = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="How to print it.")] = "table",
) -> None:
    """Print how a run does, from another terminal: children, best, rate, workers' use, time left."""
    folder = find_run(run)
    path, now = folder / JOURNAL_FILE, time.time()
    is_locked = is_being_written(path)
    events = read_events(path)
    driver = driver_state(events, is_locked=is_locked, host=socket.gethostname())
    found = status_of(events, now=now, driver=driver)
    if format == "table":
        print_status(found, folder, output_console(), now=now)
    else:
        print(status_json(found, folder))
