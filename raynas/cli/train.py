"""`raynas train`, `raynas export` and `raynas convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from raynas.cli.app import (
    AddressOption,
    FolderOption,
    SetOption,
    WorkersOption,
    app,
    loading,
    reports_errors,
    worker_count,
)
from raynas.config import merged, parse_assignments, without_none


@app.command()
@reports_errors
def train(
    what: Annotated[
        str | None,
        typer.Argument(help="A published cell or network, a run (its best cell), or JSON."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="'digits', Parquet files, a folder of class folders, or a URI.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="cifar_final, imagenet_mobile, imagenet_large or imagenet_today.  [default: cifar_final]"
        ),
    ] = None,
    workers: WorkersOption = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Instead of --workers: all GPUs of so many nodes.")
    ] = None,
    min_workers: Annotated[
        int | None, typer.Option(min=1, help="Train with so many when nodes are lost.  [default: all]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs.  [default: the recipe's]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per update, over all workers.")] = None,
    out: FolderOption = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and order of images.  [default: 0]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    images_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Of one worker: the plan then says how long it takes.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Take a few updates on this machine to find it out.")
    ] = False,
    address: AddressOption = None,
    set_: SetOption = None,
) -> None:
    """Train one cell's network to the end, on one machine or many; the result can be exported."""
    console = Console()
    with loading(console):
        from raynas.cli.terminal.train import run_train
        from raynas.cli.terminal.train_plan import Pace

    words = {
        "data": {"source": data},
        "workers": {"count": worker_count(workers), "nodes": nodes, "at_least": min_workers},
        "training": {"epochs": epochs, "batch_size": batch_size},
        "seed": seed,
    }
    run_train(
        what,
        recipe=recipe,
        settings=merged(without_none(words), parse_assignments(set_ or [])),
        out=out,
        resume=resume,
        is_dry=dry_run,
        pace=Pace(images_per_second, is_measured=measure),
        address=address,
        console=console,
    )


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
    run_export(source, format, out, force=force, console=Console())


@app.command()
@reports_errors
def convert(
    source: Annotated[
        str, typer.Argument(help="A folder of class folders, a tar file, or a folder of those.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the shards: new or empty.")],
    shard_mb: Annotated[int, typer.Option(min=1, help="Megabytes per shard, about.")] = 256,
    classes: Annotated[
        Path | None, typer.Option(help="Class folders in the order of labels, one per line, or JSON.")
    ] = None,
) -> None:
    """Turn images into Parquet shards that can be streamed."""
    from raynas.cli.terminal.convert import run_convert

    run_convert(source, out, shard_mb=shard_mb, classes=classes, console=Console())
