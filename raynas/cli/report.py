"""`raynas report`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import loading, output_console
from raynas.files import JOURNAL_FILE
from raynas.run.events import recorded_config
from raynas.run.folder import find_run
from raynas.run.journal import is_being_written, read_events
from raynas.run.records import records_of
from raynas.run.status import driver_state
from raynas.strategies.rewards.pareto import recorded_trade


@app.command(name="report")
@reports_errors
def report_command(
    run: RunArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="New or empty folder.  [default: report in the run's folder]")
    ] = None,
) -> None:
    """Write a report of a run, also while it goes on: HTML with pictures, Markdown, children in Parquet."""
    console = output_console()
    with loading(console):
        from raynas.programs.report.folder import new_folder, write_report
        from raynas.programs.report.run.children import children_table
        from raynas.programs.report.run.report import run_report

    folder = find_run(run)
    target = out if out is not None else folder / "report"
    path = folder / JOURNAL_FILE
    is_locked = is_being_written(path)
    events = read_events(path)
    new_folder(target, "--out")
    driver = driver_state(events, is_locked=is_locked, host=socket.gethostname())
    document = run_report(folder.resolve().name, events, driver=driver)
    children = children_table(records_of(events), trade=recorded_trade(recorded_config(events)))
    for written in write_report(target, document, {"children": children}):
        console.print(str(written))
