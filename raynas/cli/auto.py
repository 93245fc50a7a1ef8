"""`raynas auto`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli.app import DryRunOption, SetOption, ValidationOption, app, reports_errors, with_validation
from raynas.cli.terminal.console import loading, output_console
from raynas.config import parse_assignments


@app.command()
@reports_errors
def auto(
    hours: Annotated[float, typer.Option(help="Hours of work, such as 8 or 0.5.")],
    data: Annotated[
        str,
        typer.Option(
            help="Data set: 'digits', Parquet files, a CSV file of labels, or one folder per class."
        ),
    ] = "digits",
    validation: ValidationOption = None,
    export: Annotated[
        str, typer.Option(help="Format of the exported network: onnx, pt2, safetensors.")
    ] = "onnx",
    out: Annotated[
        str | None, typer.Option(help="Output folder.", show_default="runs/auto-NAME, after the data")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the search, the split and all trainings.", show_default="0"),
    ] = None,
    dry_run: DryRunOption = False,
    set_: SetOption = None,
) -> None:
    """From images to an exported network in given hours, with a report. The same command continues it."""
    console = output_console()
    with loading(console):
        from raynas.cli.terminal.auto import run_on_terminal
        from raynas.programs.auto.auto import prepare_auto

    settings = with_validation(parse_assignments(set_ or []), validation)
    console.print("Looking at the images and at the pace of this machine ...")
    prepared = prepare_auto(data=data, hours=hours, export=export, out=out, seed=seed, settings=settings)
    run_on_terminal(prepared, console, is_dry=dry_run)
