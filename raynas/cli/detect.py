"""`raynas detect`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli.app import (
    AddressOption,
    FolderOption,
    SetOption,
    WorkersOption,
    app,
    reports_errors,
    worker_count,
)
from raynas.cli.terminal.console import loading, output_console
from raynas.config import merged, parse_assignments


@app.command()
@reports_errors
def detect(
    what: Annotated[
        str | None,
        typer.Argument(
            help="Folder of a training, whose weights the detector begins from; or a published cell or "
            "network, the folder of a run (its best cell), or a JSON file, for random weights."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A COCO folder or Parquet files with boxes, here or at s3:// or gs://."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Begin from these weights of a classifier: a file, a folder, or timm:NAME."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe: coco, coco_mobile, coco_paper or small (a laptop).", show_default="coco_mobile"
        ),
    ] = None,
    workers: WorkersOption = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Use all GPUs of this many nodes, instead of --workers.")
    ] = None,
    min_workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Continue with as few as this many after nodes are lost.", show_default="all"
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.", show_default="the recipe's")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures per update, over all workers.", show_default="the recipe's")
    ] = None,
    out: FolderOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the weights and the order of pictures.", show_default="0")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in --out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and exit.")] = False,
    pictures_per_second: Annotated[
        float | None,
        typer.Option(min=0.001, help="Speed of one worker, from which the plan estimates the hours."),
    ] = None,
    address: AddressOption = None,
    set_: SetOption = None,
) -> None:
    """Train a detector (Faster R-CNN) on the features of a cell's network, on one machine or many."""
    console = output_console()
    with loading(console):
        from raynas.cli.terminal.detect import run_detect
        from raynas.programs.train.prepare import field_overrides

    overrides = field_overrides(
        data=data,
        workers=worker_count(workers),
        nodes=nodes,
        min_workers=min_workers,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        weights=weights,
    )
    run_detect(
        what,
        recipe=recipe,
        settings=merged(overrides, parse_assignments(set_ or [])),
        out=out,
        resume=resume,
        is_dry=dry_run,
        pictures_per_second=pictures_per_second,
        address=address,
        console=console,
    )
