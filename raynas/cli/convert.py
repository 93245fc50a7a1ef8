"""`raynas convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import output_console
from raynas.data.config import DEFAULT_LABEL_COLUMN


@app.command()
@reports_errors
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of class folders, a tar file, or a folder of tar files, which may be WebDataset "
            "shards; Parquet files; a CIFAR folder of torchvision; a .npz file; a folder of save_to_disk; "
            "or a COCO folder."
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
    label_column: Annotated[
        str, typer.Option(help="Column of class indexes in Parquet files or a folder of save_to_disk.")
    ] = DEFAULT_LABEL_COLUMN,
    image_column: Annotated[
        str | None,
        typer.Option(help="Column of images in such files.", show_default="image, img or the only one"),
    ] = None,
    train_images: Annotated[
        int | None,
        typer.Option(min=1, help="Number of training images, drawn at random.", show_default="all"),
    ] = None,
) -> None:
    """Convert images, or pictures with boxes, into Parquet shards that can be streamed."""
    from raynas.cli.terminal.convert import run_convert
    from raynas.data.parquet_columns import Columns

    run_convert(
        source,
        out,
        shard_mb=shard_mb,
        classes=classes,
        columns=Columns(label_column, image_column),
        train_images=train_images,
        console=output_console(),
    )
