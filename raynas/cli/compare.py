"""`raynas compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import loading, message_console, output_console
from raynas.errors import RaynasError, UsageError
from raynas.run.folder import find_run
from raynas.run.recorded import RecordedRun


@app.command()
@reports_errors
def compare(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    children: Annotated[
        list[str], typer.Argument(help="Two or more children: numbers, or beginnings of arch_ids.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Output file.", show_default="compare-CHILDREN.html in its folder"),
    ] = None,
) -> None:
    """Write one HTML page with children of a run side by side: cells, differences, curves and sizes."""
    with loading(message_console()):
        from raynas.programs.compare.comparison import comparison, find_children
        from raynas.programs.overview import add_to_mlflow
        from raynas.programs.report.html import to_html

    recorded = RecordedRun.read(find_run(run))
    found = find_children(recorded, children)
    name = f"compare-{'-'.join(str(child.entry.child) for child in found)}.html"
    html = to_html(comparison(recorded, found))
    path = out or recorded.folder / name
    _write(path, html)
    output_console().print(str(path))
    try:
        add_to_mlflow(recorded, artifacts={name: html})
    except RaynasError as error:
        message_console().print(f"MLflow didn't get this page. {error}", style="yellow")


def _write(path: Path, html: str) -> None:
    try:
        # A folder's name in it may hold bytes that are not valid Unicode.
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(html)
    except FileExistsError:
        raise UsageError(f"{path} exists, and is left as it is. Choose another file with --out.") from None
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}. Choose a file with --out.") from error
