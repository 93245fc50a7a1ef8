"""`raynas benchmark`: runs a benchmark with a progress bar and prints its results."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from raynas.cells.space import SearchSpace, make_space
from raynas.cli.terminal.commands import this_command
from raynas.cli.terminal.console import loading, message_console, output_console
from raynas.errors import UnknownName, UsageError
from raynas.programs.benchmark import (
    ArchTable,
    BenchmarkSetting,
    Contender,
    StrategySummary,
    benchmark,
    parse_contender,
    read_table,
    summarise,
)
from raynas.programs.benchmark.benchmark import num_cpus
from raynas.programs.benchmark.recipe import BenchmarkRecipe

SPACE_KEY = "space"
"""Key of --set that addresses the search space; every other key is the label of a strategy."""


def run_benchmark(
    recipe: BenchmarkRecipe,
    setting: BenchmarkSetting,
    *,
    strategies: Sequence[str],
    seeds: Sequence[int],
    processes: int | None,
    settings: Mapping[str, Any],
    format: Literal["table", "json"],
    report: Path | None,
) -> None:
    """Runs the strategies on the table and prints what they found; with `report`, also writes a report."""
    contenders = contenders_of(strategies, settings)
    space = _space(recipe.space, settings.get(SPACE_KEY, {}))
    if report:
        from raynas.programs.benchmark.report import with_baselines
        from raynas.programs.report.folder import new_folder

        new_folder(report)
        contenders = with_baselines(contenders)
    console = message_console()
    with loading(console):
        table = read_table(recipe.table, space, recipe)
    started_at = time.monotonic()
    with _progress(console, len(contenders) * len(seeds)) as advance:
        seed_results = benchmark(
            contenders, table, setting, seeds=seeds, processes=processes, on_progress=advance
        )
    wall_seconds = time.monotonic() - started_at
    summaries = summarise(seed_results)
    if format == "json":
        print(json.dumps([summary.model_dump() for summary in summaries], indent=2))
    else:
        _print_table(summaries, table, output_console())
    if report:
        from raynas.programs.benchmark.report import Study, write_benchmark_report

        files = write_benchmark_report(
            report,
            Study(
                recipe=recipe,
                table=table,
                setting=setting,
                contenders=contenders,
                seeds=seeds,
                seed_results=seed_results,
                wall_seconds=wall_seconds,
                processes=num_cpus() if processes is None else processes,
                command=this_command(),
            ),
        )
        console.print(f"Report: {files[0]}")


def contenders_of(strategies: Sequence[str], settings: Mapping[str, Any]) -> list[Contender]:
    """The strategies, each with the settings under its label.

    Raises:
        UsageError: a strategy, a label or an option does not exist.
    """
    contenders = [parse_contender(text.strip(), settings) for text in strategies]
    labels = [contender.label for contender in contenders]
    for key in settings:
        if key not in [*labels, SPACE_KEY]:
            hint = "--set takes STRATEGY.OPTION=VALUE, or space.OPTION=VALUE."
            raise UnknownName("strategy in this benchmark", key, labels, hint)
    # Wrong options are reported now, rather than after the table has been read.
    for contender in contenders:
        contender.resolved_options()
    return contenders


def _space(name: str, options: object) -> SearchSpace:
    if not isinstance(options, Mapping):
        raise UsageError(
            f"--set space={options!r} names no option; write space.OPTION=VALUE, or --space NAME."
        )
    return make_space(name, **options)


@contextlib.contextmanager
def _progress(console: Console, num_runs: int) -> Iterator[Callable[[int], object]]:
    """A progress bar on a terminal, and nothing elsewhere."""
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("runs", total=num_runs)
        yield lambda num_done: progress.update(task, completed=num_done)


def _print_table(summaries: Sequence[StrategySummary], table: ArchTable, console: Console) -> None:
    grid = Grid(box=None, pad_edge=False)
    for column in ("strategy", "mean", "std", "median", "signal", "seeds", "children", "distinct", "CPU s"):
        grid.add_column(column, justify="left" if column == "strategy" else "right", no_wrap=True)
    for summary in summaries:
        grid.add_row(
            summary.strategy,
            f"{summary.mean:.4f}",
            f"{summary.std:.4f}",
            f"{summary.median:.4f}",
            f"{summary.best_signal:.4f}",
            str(summary.n),
            f"{summary.children:.1f}",
            f"{summary.distinct:.1f}",
            f"{summary.seconds:.3f}",
        )
    console.print(grid)
    best = table.best_signal
    lines = [
        "mean, std, median: result of the child with the best signal, over seeds. Others: means over seeds.",
        f"In the table: best result {table.best_result:.4f}; best signal {best.signal:.4f}, "
        f"with result {best.result:.4f}.",
    ]
    lines += [
        f"{summary.strategy}: {summary.exhausted} of {summary.n} runs ended early: nothing new was proposed."
        for summary in summaries
        if summary.exhausted
    ]
    console.print("\n".join(lines))
