"""`raynas doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import AddressOption, app, fail, reports_errors
from raynas.cli.terminal.console import output_console


@app.command()
@reports_errors
def doctor(
    data: Annotated[str, typer.Option(help="Data set to look at.")] = "digits",
    address: AddressOption = None,
    out: Annotated[Path, typer.Option(help="Folder that runs are to be written below.")] = Path("runs"),
) -> None:
    """Check cluster, GPUs, data, tracking server and storage: what is wrong and what to do."""
    from raynas.cli.terminal.doctor import examine

    console = output_console()
    findings = 0
    for check in examine(data=data, address=address, runs=out):
        verdict, style = ("ok", "green") if check.is_ok else ("PROBLEM", "red")
        console.print(f"{verdict:<7}", style=style, end="")
        console.print(f" {check.name}: {check.message}")
        findings += not check.is_ok
    if findings:
        fail(f"{findings} problem{'s' if findings > 1 else ''} found.", 1)
