"""`raynas doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import AddressOption, app, fail, reports_errors
from raynas.cli.terminal.console import output_console
from raynas.config import parse_assignments

DataSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="How the data is read: data.label_column, data.image_column, data.streamed, or another field of "
        "raynas train's data. Repeatable.",
    ),
]


@app.command()
@reports_errors
def doctor(
    data: Annotated[str, typer.Option(help="Data set to check.")] = "digits",
    address: AddressOption = None,
    out: Annotated[Path, typer.Option(help="Folder in which runs will be written.")] = Path("runs"),
    set_: DataSetOption = None,
) -> None:
    """Check the cluster, GPUs, data, tracking server and storage, and say how to fix each problem."""
    from raynas.cli.terminal.doctor import data_config, examine

    console = output_console()
    config = data_config(data, parse_assignments(set_ or []))
    num_problems = 0
    for check in examine(data=config, address=address, runs=out):
        verdict, style = ("ok", "green") if check.is_ok else ("PROBLEM", "red")
        console.print(f"{verdict:<7}", style=style, end="")
        console.print(f" {check.name}: " + check.message.replace("\n", "\n        "))
        num_problems += not check.is_ok
    if num_problems:
        fail(f"{num_problems} problem{'s' if num_problems > 1 else ''} found.", 1)
