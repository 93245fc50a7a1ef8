"""`raynas sync`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import loading, output_console
from raynas.run.folder import find_run


@app.command()
@reports_errors
def sync(
    run: RunArgument = None,
    uri: Annotated[
        str | None,
        typer.Option(
            help="URI of the MLflow store.",
            show_default="the run's, MLFLOW_TRACKING_URI, or mlflow.db beside it",
        ),
    ] = None,
) -> None:
    """Add to MLflow what it is missing of a run, for example after its server was down."""
    folder, console = find_run(run), output_console()
    with loading(console):
        from raynas.programs.sync import sync_run

    bar = Progress(
        TextColumn("writing"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("writing", total=None)
    with bar:
        result = sync_run(
            folder, uri=uri, report=lambda done, total: bar.update(task, completed=done, total=total)
        )
    console.print(
        f"{folder}: {result.num_added:,} of {result.num_children:,} children added, the run is "
        f"{result.status}, at {result.uri}"
    )
