"""`raynas report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import loading, output_console
from raynas.run.folder import find_run
from raynas.run.recorded import RecordedRun


@app.command(name="report")
@reports_errors
def report_command(
    run: RunArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder, new or empty.", show_default="report/ in the folder of the run"),
    ] = None,
) -> None:
    """Write a report on a run, finished or not: HTML with charts, Markdown, and its children as Parquet."""
    console = output_console()
    with loading(console):
        from raynas.programs.report.folder import new_folder, write_report
        from raynas.programs.report.run.children import children_table
        from raynas.programs.report.run.report import run_report

    found = RecordedRun.read(find_run(run))
    target = out if out is not None else found.folder / "report"
    new_folder(target)
    for written in write_report(target, run_report(found), {"children": children_table(found)}):
        console.print(str(written))
