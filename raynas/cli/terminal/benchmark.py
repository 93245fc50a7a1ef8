"""How a benchmark is run from the command line, and what it prints."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from raynas.cells.space import SearchSpace, make_space
from raynas.cli.app import loading
from raynas.cli.terminal.console import command
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

SPACE_WORD = "space"


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
    """Reads the table, lets the strategies search it, prints what they found; with `report`, writes that."""
    contenders = contenders_of(strategies, settings)
    space = _space(recipe.space, settings.get(SPACE_WORD, {}))
    if report:
        from raynas.programs.benchmark.report import with_baselines
        from raynas.programs.report.folder import new_folder

        new_folder(report, "--report")
        contenders = with_baselines(contenders)
    console = Console(stderr=True)
    with loading(console):
        table = read_table(recipe.table, space, recipe)
    began = time.monotonic()
    with _progress(console, len(contenders) * len(seeds)) as advance:
        seed_results = benchmark(
            contenders, table, setting, seeds=seeds, processes=processes, on_progress=advance
        )
    wall_seconds = time.monotonic() - began
    summaries = summarise(seed_results)
    if format == "json":
        print(json.dumps([summary.model_dump() for summary in summaries], indent=2))
    else:
        _print_table(summaries, table, Console())
    if report:
        from raynas.programs.benchmark.report import Study, write_benchmark_report

        words = f"{command()} {shlex.join(sys.argv[1:])}"
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
                command=words,
            ),
        )
        console.print(f"Report: {files[0]}", markup=False, highlight=False, soft_wrap=True)


def contenders_of(strategies: Sequence[str], settings: Mapping[str, Any]) -> list[Contender]:
    """The strategies, each with its own of the settings; UsageError if there is no such one or option."""
    contenders = [parse_contender(text.strip(), settings) for text in strategies]
    labels = [contender.label for contender in contenders]
    for word in settings:
        if word not in [*labels, SPACE_WORD]:
            hint = "--set takes STRATEGY.OPTION=VALUE, or space.OPTION=VALUE."
            raise UnknownName("strategy in this benchmark", word, labels, hint)
    for contender in contenders:
        contender.resolved_options()
    return contenders


def _space(name: str, options: object) -> SearchSpace:
    if not isinstance(options, Mapping):
        raise UsageError(f"--set space={options!r} sets no option; write space.OPTION=VALUE, or --space.")
    return make_space(name, **options)


@contextlib.contextmanager
def _progress(console: Console, num_runs: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal; elsewhere nothing."""
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
        "mean, std, median: result of the best child by signal, over seeds; the rest: means over seeds.",
        f"In the table: best result {table.best_result:.4f}; best signal {best.signal:.4f}, "
        f"whose result is {best.result:.4f}.",
    ]
    lines += [
        f"{summary.strategy}: {summary.exhausted} of {summary.n} runs ended early, with nothing new proposed."
        for summary in summaries
        if summary.exhausted
    ]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
