"""`raynas evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from raynas.cli.app import SetOption, app, reports_errors
from raynas.cli.terminal.console import loading, message_console, output_console
from raynas.config import parse_assignments


@app.command()
@reports_errors
def evaluate(
    what: Annotated[
        str, typer.Argument(metavar="TRAINING", help="Folder of a training or of a trained network.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="Images to measure it on: class folders or Parquet files, or a COCO folder for a detector; "
            "here or at s3:// or gs://."
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The network of the best epoch instead of the last.")
    ] = False,
    split: Annotated[
        Literal["train", "validation"] | None,
        typer.Option(help="Part of the data.", show_default="validation, or all if the data has no parts"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images per forward pass.", show_default="64, or 1 for a detector"),
    ] = None,
    pictures: Annotated[
        int,
        typer.Option(
            min=0,
            help="Write so many pictures into --out: true boxes beside predicted ones, or a classifier's "
            "surest errors.",
        ),
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures.")] = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="Output format.")] = "table",
    set_: SetOption = None,
) -> None:
    """Measure a trained classifier or detector on images with labels, without training."""
    console = output_console()
    with loading(message_console()):
        from raynas.cli.terminal.evaluate import evaluation_json, evaluation_lines
        from raynas.programs.evaluate.evaluate import evaluate as measure

    found = measure(
        what,
        data=data,
        best=best,
        split=split,
        batch_size=batch_size,
        pictures=pictures,
        out=out,
        settings=parse_assignments(set_ or []),
    )
    if format == "json":
        print(evaluation_json(found))
    else:
        console.print("\n".join(evaluation_lines(found)))
