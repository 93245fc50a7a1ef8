"""`raynas report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import loading, output_console


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
        from raynas.programs.report.run.write import report

    for written in report(run, out=out):
        console.print(str(written))
