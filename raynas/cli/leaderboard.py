"""`raynas leaderboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.leaderboard import print_architectures, print_leaderboard
from raynas.files import JOURNAL_FILE
from raynas.run.events import recorded_config
from raynas.run.folder import find_run
from raynas.run.journal import read_events
from raynas.run.leaderboard import Format, final_front, leaderboard, render
from raynas.run.records import records_of
from raynas.strategies.rewards.pareto import recorded_trade


@app.command(name="leaderboard")
@reports_errors
def leaderboard_command(
    run: RunArgument = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only the best N.")] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = "table",
) -> None:
    """Print a run's children, best first."""
    folder = find_run(run)
    events = read_events(folder / JOURNAL_FILE)
    records, trade = records_of(events), recorded_trade(recorded_config(events))
    entries = leaderboard(records, trade=trade)[:top]
    if format == "table":
        console = output_console()
        console.print(str(folder))
        print_leaderboard(
            entries,
            console,
            num_infeasible=sum(record.is_infeasible for record in records),
            hypervolume=final_front(records, trade).hypervolume() if trade else None,
        )
        print_architectures(entries, console)
    else:
        print(render(entries, format))
