"""`raynas promote`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli.app import (
    AddressOption,
    DryRunOption,
    FolderOption,
    HoursOption,
    RunArgument,
    SetOption,
    WorkersOption,
    app,
    reports_errors,
    worker_count,
)
from raynas.cli.terminal.console import loading, output_console
from raynas.config import merged, parse_assignments, without_none
from raynas.run.folder import find_run


@app.command(name="promote")
@reports_errors
def promote_command(
    run: RunArgument = None,
    top: Annotated[int, typer.Option(min=1, help="Number of cells to train, best first.")] = 250,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings per cell, each with its own seed.")] = 1,
    recipe: Annotated[
        str, typer.Option(help="Search recipe that says how they are trained.")
    ] = "small_final",
    epochs: Annotated[int | None, typer.Option(help="Epochs per child.  [default: the recipe's]")] = None,
    hours: HoursOption = None,
    workers: WorkersOption = None,
    out: FolderOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the data split and the children.  [default: 0]")
    ] = None,
    dry_run: DryRunOption = False,
    address: AddressOption = None,
    set_: SetOption = None,
) -> None:
    """Train the best cells of a run for longer, to find the winner. Resume with 'search --resume'."""
    console = output_console()
    with loading(console):
        from raynas.cli.terminal.search import print_plan, run_on_terminal
        from raynas.programs.promote import prepare_promotion

    options = {
        "child": {"epochs": epochs},
        "hours": hours,
        "workers": {"count": worker_count(workers)},
        "seed": seed,
    }
    settings = merged(without_none(options), parse_assignments(set_ or []))
    prepared = prepare_promotion(run, top=top, repeats=repeats, recipe=recipe, out=out, settings=settings)
    what = f"promote: the best {prepared.config.children // repeats} cells of {find_run(run)}"
    if dry_run:
        print_plan(prepared, console, what=what)
    else:
        run_on_terminal(prepared, console, what=what, address=address)
