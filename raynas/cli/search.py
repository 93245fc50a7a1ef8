"""`raynas search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli import completion
from raynas.cli.app import (
    AddressOption,
    DryRunOption,
    FolderOption,
    HoursOption,
    SearchSetOption,
    ValidationOption,
    WorkersOption,
    app,
    examples,
    reports_errors,
    with_validation,
    worker_count,
)
from raynas.cli.terminal.console import loading, output_console
from raynas.config import parse_assignments


@app.command(
    epilog=examples(
        "raynas search",
        "raynas search --data DIR --children 200 --epochs 10 --set network.filters=16",
        "raynas search --strategy evolution --space darts",
        "raynas search --out runs/mine --resume",
    )
)
@reports_errors
def search(
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set: 'digits', Parquet files, a CSV file of labels, or one folder per class.",
            show_default="digits",
        ),
    ] = None,
    validation: ValidationOption = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="Search space: a registered name or package.module:ClassName.",
            show_default="the recipe's",
            autocompletion=completion.spaces,
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="Search strategy: ppo, ego, reinforce, evolution, local_search, random, "
            "or package.module:ClassName.",
            show_default="the recipe's",
            autocompletion=completion.strategies,
        ),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(
            help="Reward: accuracy, mnasnet, pareto, training_speed, or package.module:ClassName.",
            show_default="accuracy",
            autocompletion=completion.rewards,
        ),
    ] = None,
    children: Annotated[
        int | None, typer.Option(help="Number of architectures to try.", show_default="24")
    ] = None,
    hours: HoursOption = None,
    workers: WorkersOption = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs per child.", show_default="the recipe's")] = None,
    out: FolderOption = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the controller, the data split and the children.", show_default="0"),
    ] = None,
    memo: Annotated[
        Path | None, typer.Option(help="A run, or a folder of runs, whose scores are reused for equal cells.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out, or else the newest run.")
    ] = False,
    dry_run: DryRunOption = False,
    address: AddressOption = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="Recipe for all settings not given: small, nasnet_paper, amoebanet_paper, small_final, "
            "cifar_final.",
            autocompletion=completion.search_recipes,
        ),
    ] = "small",
    set_: SearchSetOption = None,
) -> None:
    """Search for a good cell: train many small networks (children) and learn from their accuracy."""
    from raynas.programs.search.prepare import prepare_search

    console = output_console()
    # Before torch, Ray and MLflow are loaded: a wrong word is answered at once.
    prepared = prepare_search(
        data=data,
        space=space,
        strategy=strategy,
        reward=reward,
        children=children,
        hours=hours,
        workers=worker_count(workers),
        epochs=epochs,
        out=out,
        seed=seed,
        memo=memo,
        resume=resume,
        recipe=recipe,
        settings=with_validation(parse_assignments(set_ or []), validation),
    )
    with loading(console):
        from raynas.cli.terminal.search import print_plan, run_on_terminal

    config = prepared.config
    what = f"search: space {config.space.name}, strategy {config.strategy.name}"
    if dry_run:
        print_plan(prepared, console, what=what)
    else:
        run_on_terminal(prepared, console, what=what, address=address)
