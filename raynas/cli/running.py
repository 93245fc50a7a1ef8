"""A prepared search on the terminal: what it is, how it goes, and what came of it."""

from __future__ import annotations

import typer
from rich.console import Console

from raynas.cli.console import print_architectures, print_hints, print_leaderboard, resume_command
from raynas.cli.progress import make_progress
from raynas.promote import STRATEGY
from raynas.rewards.pareto import NAME as PARETO
from raynas.search import PreparedSearch, execute


def run_on_terminal(prepared: PreparedSearch, console: Console, *, what: str, address: str | None) -> None:
    """Runs it with a live table; after Ctrl-C, says how to go on and exits with 130.

    Args:
        what: the kind of run and its particulars, for the first line.
    """
    config = prepared.config
    console.print(
        f"raynas {what}, data {config.data.source}, {config.children} children of {config.child.epochs} "
        f"epochs, seed {config.seed}\nrun folder {prepared.folder}",
        highlight=False,
        soft_wrap=True,
    )
    try:
        keeps_front = config.reward.name == PARETO
        with make_progress(config.children, console, best_by_accuracy=keeps_front) as progress:
            result = execute(prepared, address=address, listeners=[progress])
    except KeyboardInterrupt:
        console.print(
            f"\nInterrupted. Finished children are kept; go on with\n  {resume_command(prepared.folder)}"
        )
        raise typer.Exit(130) from None
    print_leaderboard(
        result.leaderboard[:10],
        console,
        num_infeasible=result.num_infeasible,
        hypervolume=result.hypervolume,
    )
    print_architectures(result.leaderboard, console)
    is_promotion = config.strategy.name == STRATEGY
    print_hints(result, console, data=config.data.source, is_promotion=is_promotion)
