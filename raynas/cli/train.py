"""`raynas train`, `raynas export` and `raynas convert`."""

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
    console = output_console()
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
