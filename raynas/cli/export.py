"""`raynas export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import output_console


@app.command()
@reports_errors
def export(
    what: Annotated[
        str, typer.Argument(help="Folder of a trained network or of its run, or a published network's name.")
    ],
    format: Annotated[Literal["onnx", "pt2", "safetensors"], typer.Option(help="What to write.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="File; its card and picture come beside it.  [default: NAME.FORMAT]")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Of a published network: a file, or timm:TAG such as timm:tf_in1k.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Of a published network: none, to try things out.")
    ] = False,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="That --weights have.  [default: as published]")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Pixels per side.  [default: as trained or published]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a trained network as a file that runs without raynas, and a model card beside it."""
    from raynas.cli.terminal.export import Source, run_export

    source = Source(what, weights, random_weights, num_classes, image_size)
    run_export(source, format, out, force=force, console=output_console())
