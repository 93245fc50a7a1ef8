"""`raynas rescore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from raynas.cli import completion
from raynas.cli.app import RunArgument, app, reports_errors
from raynas.cli.terminal.console import message_console, output_console
from raynas.cli.terminal.leaderboard import print_leaderboard
from raynas.config import parse_assignments
from raynas.errors import UsageError
from raynas.files import create_file
from raynas.programs.rescore import Rescored, chosen_reward, rescore
from raynas.run.folder import find_run
from raynas.run.leaderboard import FileFormat, PrintFormat, render
from raynas.run.recorded import RecordedRun

MAX_LISTED = 12
"""Number of children that are listed by number. The rest are left out."""


@app.command(name="rescore")
@reports_errors
def rescore_command(
    run: RunArgument = None,
    reward: Annotated[
        str | None,
        typer.Option(
            help="Reward: accuracy, mnasnet, pareto, training_speed, or package.module:ClassName.",
            show_default="the run's",
            autocompletion=completion.rewards,
        ),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Print only the best N children.")] = None,
    format: Annotated[PrintFormat, typer.Option(help="Output format.")] = "table",
    out: Annotated[
        Path | None, typer.Option(help="Also write the leaderboard to this new file: .json, .csv or .md.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set an option of the reward: reward.OPTION=VALUE. Repeatable."),
    ] = None,
) -> None:
    """Print the leaderboard that a run would have under another reward. Nothing is trained."""
    folder = find_run(run)
    suffix = _file_format(out)
    recorded = RecordedRun.read(folder)
    found = rescore(recorded, chosen_reward(recorded, reward, parse_assignments(set_ or [])))
    if format == "table":
        _print_table(found, folder, top)
    else:
        print(render(found.entries[:top], format))
    for why, children in found.unscored.items():
        _print_unscored(why, children)
    if out is not None and suffix is not None:
        create_file(out, render(found.entries[:top], suffix) + "\n")


def _file_format(out: Path | None) -> FileFormat | None:
    if out is None:
        return None
    for known in get_args(FileFormat):
        if out.suffix == f".{known}":
            return known  # type: ignore[no-any-return]
    raise UsageError(f"--out {out} ends in {out.suffix!r}. Give a file that ends in .json, .csv or .md.")


def _print_table(found: Rescored, folder: Path, top: int | None) -> None:
    console = output_console()
    console.print(str(folder))
    # Why these have no reward is printed once for all of them, below the table.
    unscored = {child for children in found.unscored.values() for child in children}
    entries = [
        entry.model_copy(update={"reason": ""}) if entry.child in unscored else entry
        for entry in found.entries[:top]
    ]
    print_leaderboard(entries, console, num_infeasible=found.num_infeasible, hypervolume=found.hypervolume)


def _print_unscored(why: str, children: list[int]) -> None:
    """Prints to stderr, so that JSON on stdout stays JSON."""
    numbers = ", ".join(map(str, children[:MAX_LISTED])) + (", ..." if len(children) > MAX_LISTED else "")
    what = "1 child can't" if len(children) == 1 else f"{len(children):,} children can't"
    message_console().print(f"{what} be scored by this reward, for {why}: {numbers}")
