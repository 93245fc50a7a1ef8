"""`raynas status`."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from raynas.cli.app import RunArgument, app, examples, reports_errors
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.status import print_status, status_json
from raynas.run.folder import find_run
from raynas.run.recorded import RecordedRun
from raynas.run.status import status_of


@app.command(epilog=examples("raynas status", "raynas status runs/mine --format json"))
@reports_errors
def status(
    run: RunArgument = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="Output format.")] = "table",
) -> None:
    """Print the progress of a run, even while it runs: children, best cell, rate and time left."""
    folder = find_run(run)
    now = time.time()
    found = status_of(RecordedRun.read(folder), now=now)
    if format == "table":
        print_status(found, folder, output_console(), now=now)
    else:
        print(status_json(found, folder))
