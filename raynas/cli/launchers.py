"""`raynas launchers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import output_console


@app.command()
@reports_errors
def launchers(
    copy: Annotated[
        Path | None, typer.Option(help="Copy the files into this folder: a new or empty one.")
    ] = None,
) -> None:
    """List the files that start Ray on AWS, Google Cloud, Kubernetes and in Slurm, or copy them."""
    from raynas.cli.terminal.launchers import copy_launchers, launcher_files, launchers_folder

    files = launcher_files(launchers_folder()) if copy is None else copy_launchers(copy)
    console = output_console()
    for file in files:
        console.print((launchers_folder() if copy is None else copy) / file, soft_wrap=True, highlight=False)
