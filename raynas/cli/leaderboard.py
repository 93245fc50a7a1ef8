"""`raynas leaderboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli.app import RunArgument, app, examples, reports_errors
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.leaderboard import print_architectures, print_leaderboard
from raynas.run.folder import find_run
from raynas.run.leaderboard import PrintFormat, render
from raynas.run.recorded import RecordedRun


@app.command(
    name="leaderboard",
    epilog=examples("raynas leaderboard", "raynas leaderboard runs/mine --top 5 --format csv"),
)
@reports_errors
def leaderboard_command(
    run: RunArgument = None,
    top: Annotated[int | None, typer.Option(min=1, help="Print only the best N children.")] = None,
    format: Annotated[PrintFormat, typer.Option(help="Output format.")] = "table",
) -> None:
    """Print the leaderboard of a run: its children, best first."""
    found = RecordedRun.read(find_run(run))
    entries = found.entries[:top]
    if format == "table":
        console = output_console()
        console.print(str(found.folder))
        print_leaderboard(
            entries,
            console,
            num_infeasible=found.num_infeasible,
            hypervolume=found.hypervolume,
        )
        print_architectures(entries, console)
    else:
        print(render(entries, format))
