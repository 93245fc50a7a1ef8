"""`raynas convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import output_console


@app.command()
@reports_errors
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder with one folder per class, a tar file, or a folder of tar files. These may be "
            "WebDataset shards."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Output folder for the shards: new or empty.")],
    shard_mb: Annotated[int, typer.Option(min=1, help="Approximate size of a shard in megabytes.")] = 256,
    classes: Annotated[
        Path | None,
        typer.Option(
            help="File that lists the class folders, or the names of numbered classes, in the order of their "
            "labels: one per line, or JSON."
        ),
    ] = None,
) -> None:
    """Convert images into Parquet shards, which 'raynas train' can stream."""
    from raynas.cli.terminal.convert import run_convert

    run_convert(source, out, shard_mb=shard_mb, classes=classes, console=output_console())
