"""`raynas promote`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli import completion
from raynas.cli.app import (
    AddressOption,
    DryRunOption,
    FolderOption,
    HoursOption,
    RunArgument,
    SearchSetOption,
    WorkersOption,
    app,
    examples,
    reports_errors,
    worker_count,
)
from raynas.cli.terminal.console import loading, output_console
from raynas.config import merged, parse_assignments, without_none
from raynas.run.folder import find_run


@app.command(
    name="promote",
    epilog=examples("raynas promote --top 10 --repeats 3", "raynas promote runs/mine --top 5 --epochs 50"),
)
@reports_errors
def promote_command(
    run: RunArgument = None,
    top: Annotated[int, typer.Option(min=1, help="Number of cells to train, best first.")] = 250,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings per cell, each with its own seed.")] = 1,
    recipe: Annotated[
        str,
        typer.Option(
            help="Search recipe that says how they are trained.", autocompletion=completion.search_recipes
        ),
    ] = "small_final",
    epochs: Annotated[int | None, typer.Option(help="Epochs per child.", show_default="the recipe's")] = None,
    hours: HoursOption = None,
    workers: WorkersOption = None,
    out: FolderOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the data split and the children.", show_default="0")
    ] = None,
    dry_run: DryRunOption = False,
    address: AddressOption = None,
    set_: SearchSetOption = None,
) -> None:
    """Train the best cells of a run for longer, to find the winner. Resume with 'search --resume'."""
    from raynas.programs.search.recipes import check_search_words

    console = output_console()
    options = {
        "child": {"epochs": epochs},
        "hours": hours,
        "workers": {"count": worker_count(workers)},
        "seed": seed,
    }
    settings = merged(without_none(options), parse_assignments(set_ or []))
    # Before torch, Ray and MLflow are loaded: a wrong word is answered at once.
    check_search_words(recipe, settings)
    with loading(console):
        from raynas.cli.terminal.search import print_plan, run_on_terminal
        from raynas.programs.promote import prepare_promotion

    prepared = prepare_promotion(run, top=top, repeats=repeats, recipe=recipe, out=out, settings=settings)
    what = f"promote: the best {prepared.config.children // repeats} cells of {find_run(run)}"
    if dry_run:
        print_plan(prepared, console, what=what)
    else:
        run_on_terminal(prepared, console, what=what, address=address)
