"""A prepared search on the terminal: what it is, how it goes, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from raynas.cli.terminal.console import print_architectures, print_hints, print_leaderboard, resume_command
from raynas.cli.terminal.progress import make_progress
from raynas.errors import SearchFailed
from raynas.files import JOURNAL_FILE
from raynas.programs.promote import STRATEGY
from raynas.programs.search.execute import execute
from raynas.programs.search.prepare import PreparedSearch
from raynas.run.interruption import Interruption, interruptible
from raynas.strategies.rewards.pareto import PARETO


def run_on_terminal(prepared: PreparedSearch, console: Console, *, what: str, address: str | None) -> None:
    """Runs it with a live table. After Ctrl-C and SIGTERM says how to go on, and exits with 130 and 143.

    Args:
        what: the kind of run and its particulars, for the first line.
    """
    config = prepared.config
    console.print(
        f"raynas {what}, data {config.data.source}, {config.children} children of {config.child.epochs} "
        f"epochs, seed {config.seed}\nrun folder {prepared.folder}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    keeps_front = config.reward.name == PARETO
    with (
        _farewell(prepared.folder, console),
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
    is_promotion = config.strategy.name == STRATEGY
    print_hints(result, console, data=config.data.source, is_promotion=is_promotion)


@contextmanager
def _farewell(folder: Path, console: Console) -> Iterator[None]:
    """Says how to go on with what ends before its time."""

    def say(what: str) -> None:
        if (folder / JOURNAL_FILE).is_file():
            text = f"\n{what} What has ended is kept; go on with\n  {resume_command(folder)}"
        else:
            text = f"\n{what} No child has been tried yet."
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    try:
        with interruptible(last_words=lambda: say("Interrupted, and some processes did not end in time.")):
            yield
    except Interruption as interruption:
        say(f"Interrupted by {'Ctrl-C' if interruption.name == 'SIGINT' else interruption.name}.")
        raise typer.Exit(interruption.exit_code) from None
    except SearchFailed:
        say("The search failed.")
        raise
