"""`raynas search` and `raynas promote`: run a prepared search with progress, and print its results."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from raynas.cli.terminal.commands import program, resume_search
from raynas.cli.terminal.leaderboard import print_architectures, print_leaderboard
from raynas.cli.terminal.next_steps import promote_command, train_command
from raynas.cli.terminal.progress import make_progress
from raynas.errors import RaynasError, SearchFailed
from raynas.files import JOURNAL_FILE
from raynas.programs.overview import write_overview
from raynas.programs.promote import STRATEGY
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.execute import checked_images, execute
from raynas.programs.search.prepare import PreparedSearch
from raynas.programs.search.result import SearchResult
from raynas.run.interruption import Interruption, interruptible
from raynas.run.recorded import RecordedRun
from raynas.strategies.rewards.pareto import PARETO

MOST_LISTED = 10
"""Numbers of children that fit into a line."""


def print_plan(prepared: PreparedSearch, console: Console, *, what: str) -> None:
    """Prints what a search would do, and on which images; `what` as in `run_on_terminal`."""
    _print_start(prepared, console, what)
    split = checked_images(prepared.config)
    for line in [*split.described(), prepared.config.child.augmentation.described(split)]:
        console.print(line)


def run_on_terminal(prepared: PreparedSearch, console: Console, *, what: str, address: str | None) -> None:
    """Runs a search, shows its progress, and prints the leaderboard and the next commands.

    Ctrl-C and SIGTERM end it with exit codes 130 and 143, after printing the command that resumes it.

    Args:
        what: kind of the run and its main settings, for the first line.
    """
    config = prepared.config
    _print_start(prepared, console, what)
    keeps_front = config.reward.name == PARETO
    with (
        _resume_hint(prepared.folder, console),
        make_progress(config.children, console, best_by_accuracy=keeps_front) as progress,
    ):
        result = execute(prepared, address=address, listeners=[progress])
    print_leaderboard(
        result.leaderboard[:10],
        console,
        num_infeasible=result.num_infeasible,
        hypervolume=result.hypervolume,
    )
    print_architectures(result.leaderboard, console)
    commands = _next_commands(result, config)
    _print_hints(result, console, commands)
    _describe_in_mlflow(result, console, commands)


def _print_start(prepared: PreparedSearch, console: Console, what: str) -> None:
    config = prepared.config
    console.print(
        f"raynas {what}, data {config.data.source}, {config.children} children of {config.child.epochs} "
        f"epochs, seed {config.seed}\nrun folder {prepared.folder}"
    )
    if prepared.resumed is not None:
        console.print(_what_is_kept(prepared.resumed, prepared.num_finished, config.children))


def _what_is_kept(run: RecordedRun, num_kept: int, num_children: int) -> str:
    """What becomes of the children of a run that is resumed."""
    again = sorted(record.id for record in run.records.values() if record.finished is None)
    listed = f" ({', '.join(map(str, again))})" if 0 < len(again) <= MOST_LISTED else ""
    new = max(num_children - num_kept - len(again), 0)
    return (
        f"resumed: {num_kept} finished children are kept, {len(again)} unfinished{listed} are trained again, "
        f"and {new} are new"
    )


@contextmanager
def _resume_hint(folder: Path, console: Console) -> Iterator[None]:
    """Prints how to resume a search that is interrupted or fails within the block."""

    def say(what: str) -> None:
        if (folder / JOURNAL_FILE).is_file():
            text = f"\n{what} Finished children are kept. Resume with\n  {resume_search(folder)}"
        else:
            text = f"\n{what} No child has been tried yet."
        console.print(text)

    try:
        with interruptible(last_words=lambda: say("Interrupted, but some processes did not end in time.")):
            yield
    except Interruption as interruption:
        say(f"Interrupted by {'Ctrl-C' if interruption.name == 'SIGINT' else interruption.name}.")
        raise typer.Exit(interruption.exit_code) from None
    except SearchFailed:
        say("The search failed.")
        raise


def _print_hints(result: SearchResult, console: Console, commands: dict[str, str]) -> None:
    """Prints what was written, and useful next commands."""
    folder = result.run_folder
    lines = [f"\nBest cell: {folder / 'best_cell.svg'}, {folder / 'best_genotype.json'}"]
    if result.mlflow_uri and result.mlflow_uri.startswith("sqlite:"):
        lines.append(
            f"Compare cells in the MLflow UI:\n  {program()} ui --runs {shlex.quote(str(folder.parent))}"
        )
    elif result.mlflow_uri:
        lines.append(f"Compare cells in the MLflow UI: {result.mlflow_uri}")
    lines += [f"{what}:\n  {command}" for what, command in commands.items()]
    console.print("\n".join(lines))


def _next_commands(result: SearchResult, config: SearchConfig) -> dict[str, str]:
    """Commands by what they do."""
    folder, run = result.run_folder, shlex.quote(str(result.run_folder))
    commands = {}
    if config.strategy.name != STRATEGY:
        more = len(result.leaderboard) * 2
        commands["Continue this search"] = f"{resume_search(folder)} --children {more}"
        commands["Train its best cells for longer"] = promote_command(result, config)
    best = [str(entry.child) for entry in result.leaderboard[:3] if entry.reward is not None]
    if len(best) > 1:
        commands["Put the best cells side by side"] = f"{program()} compare {run} {' '.join(best)}"
    commands["Train the best cell to the end"] = train_command(result, config)
    return commands


def _describe_in_mlflow(result: SearchResult, console: Console, commands: dict[str, str]) -> None:
    if result.mlflow_run_id is None:
        return
    try:
        write_overview(result.run_folder, list(commands.values()))
    except RaynasError as error:
        # The search is over and its results are printed: a description is no reason to fail.
        console.print(f"MLflow didn't get the description of this run. {error}", style="yellow")
