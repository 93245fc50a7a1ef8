"""`raynas export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import output_console


@app.command(name="export")
@reports_errors
def export_command(
    what: Annotated[
        str,
        typer.Argument(
            help="Folder of a training or of a trained network or detector, or name of a published network."
        ),
    ],
    format: Annotated[
        Literal["onnx", "pt2", "safetensors"], typer.Option(help="Format of the file.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Output file. A model card and a picture go beside it.", show_default="NAME.FORMAT"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights for a published network: a file, or timm:TAG such as timm:tf_in1k."),
    ] = None,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights", help="Give a published network random weights, to try out an export."
        ),
    ] = False,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes in --weights.", show_default="as published")
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE|HEIGHTxWIDTH",
            help="Pixels per side; for a detector also height and width, such as 480x640.",
            show_default="as trained or published",
        ),
    ] = None,
    check_on: Annotated[
        Path | None,
        typer.Option(
            help="Pictures, or their folder, on which a detector's file is checked.",
            show_default="its validation pictures",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Write a trained network or detector to a file that others can run, with a model card beside it."""
    from raynas.cli.terminal.export import ExportRequest, run_export

    request = ExportRequest(what, weights, random_weights, num_classes, image_size, check_on)
    run_export(request, format, out, force=force, console=output_console())
