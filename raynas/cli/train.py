"""`raynas train`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli.app import (
    AddressOption,
    DryRunOption,
    FolderOption,
    TrainSetOption,
    ValidationOption,
    WorkersOption,
    app,
    examples,
    reports_errors,
    with_validation,
    worker_count,
)
from raynas.cli.terminal.console import loading, output_console
from raynas.config import check_fields, merged, parse_assignments


@app.command(
    epilog=examples(
        "raynas train runs/mine --data DIR --epochs 100",
        "raynas train nasnet_a_mobile --recipe imagenet_mobile --data DIR --dry-run",
        "raynas train --weights runs/trained --recipe finetune --data DIR",
    )
)
@reports_errors
def train(
    what: Annotated[
        str | None,
        typer.Argument(
            help="Name of a published cell or network, folder of a run (its best cell), or JSON file."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set: 'digits', Parquet files, a CSV file of labels, one folder per class, or a URI."
        ),
    ] = None,
    validation: ValidationOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Training recipe: small_final, cifar_final, imagenet_mobile, imagenet_large, imagenet_today "
            "or finetune.",
            show_default="small_final",
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
    hours: Annotated[
        float | None,
        typer.Option(help="As many epochs as fit into these hours, at the pace that is measured first."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per update, over all workers.", show_default="the recipe's")
    ] = None,
    out: FolderOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the weights and the order of images.", show_default="0")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Begin from these weights: a file, folder of a training or of a trained network, or "
            "timm:NAME.",
            show_default="random ones",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in --out.")] = False,
    dry_run: DryRunOption = False,
    images_per_second: Annotated[
        float | None,
        typer.Option(min=0.001, help="Speed of one worker, from which the plan estimates the hours."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure that speed by a few updates on this machine.")
    ] = False,
    address: AddressOption = None,
    set_: TrainSetOption = None,
) -> None:
    """Train the network of one cell to the end, on one machine or many. The result can be exported."""
    from raynas.programs.train.config import TrainConfig

    console = output_console()
    settings = with_validation(parse_assignments(set_ or []), validation)
    # Before torch, Ray and MLflow are loaded: a wrong word is answered at once.
    check_fields(TrainConfig, settings)
    with loading(console):
        from raynas.cli.terminal.train import run_train
        from raynas.cli.terminal.train_plan import Pace
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
    run_train(
        what,
        recipe=recipe,
        settings=merged(overrides, settings),
        out=out,
        resume=resume,
        is_dry=dry_run,
        hours=hours,
        pace=Pace(images_per_second, is_measured=measure),
        address=address,
        console=console,
    )
