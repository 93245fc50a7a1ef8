"""`raynas benchmark`: runs a benchmark and prints its results."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table as Grid

from raynas.cli.terminal.benchmark_progress import benchmark_progress
from raynas.cli.terminal.benchmark_report import (
    check_report_folder,
    interruption_told,
    kept_results,
    written_report,
)
from raynas.cli.terminal.commands import this_command
from raynas.cli.terminal.console import loading, message_console, output_console
from raynas.programs.benchmark import (
    ArchTable,
    BenchmarkSetting,
    SeedResult,
    StrategySummary,
    benchmark,
    read_table,
    summarise,
)
from raynas.programs.benchmark.benchmark import check, num_cpus
from raynas.programs.benchmark.contender import contenders_of, space_of
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.report.study import Study


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
    resume: bool,
) -> None:
    """Runs the strategies on the table and prints what they found; with `report`, also writes a report.

    Ctrl-C and SIGTERM end it with exit codes 130 and 143, after saying what is kept.
    """
    contenders = contenders_of(strategies, settings)
    space = space_of(recipe.space, settings)
    check_report_folder(report, resume=resume)
    if report:
        from raynas.programs.benchmark.report import with_baselines

        contenders = with_baselines(contenders)
    console = message_console()
    with loading(console):
        table = read_table(recipe.table, space, recipe)
    check(contenders, table, setting)
    study = Study(
        recipe=recipe,
        table=table,
        setting=setting,
        contenders=contenders,
        seeds=seeds,
        seed_results=(),
        wall_seconds=0.0,
        processes=num_cpus() if processes is None else processes,
        command=this_command(),
    )
    with interruption_told(report, console):
        study = _run(study, console, report=report, resume=resume)
        summaries = summarise(study.seed_results)
        if format == "json":
            print(json.dumps([summary.model_dump() for summary in summaries], indent=2))
        else:
            _print_table(summaries, table, output_console())
        if report:
            console.print(f"Report: {written_report(report, study)}")


def _run(study: Study, console: Console, *, report: Path | None, resume: bool) -> Study:
    """The study with its results, those of earlier processes included."""
    started_at = time.monotonic()
    labels = [contender.label for contender in study.contenders]
    with (
        kept_results(report, study, resume=resume) as kept,
        benchmark_progress(labels, len(study.seeds), console) as progress,
    ):
        earlier = kept.seed_results if kept is not None else ()
        progress.resumed(earlier)

        def took(seed_result: SeedResult) -> None:
            if kept is not None:
                kept.append(seed_result)
            progress.took(seed_result)

        seed_results = benchmark(
            study.contenders,
            study.table,
            study.setting,
            seeds=study.seeds,
            processes=study.processes,
            done=earlier,
            on_progress=progress.advance,
            on_result=took,
        )
    return replace(
        study,
        seed_results=seed_results,
        wall_seconds=time.monotonic() - started_at,
        num_resumed=len(earlier),
    )


COLUMNS = ("mean", "std", "median", "rank", "signal", "seeds", "children", "distinct", "CPU s")


def _print_table(summaries: Sequence[StrategySummary], table: ArchTable, console: Console) -> None:
    has_budgets = len({summary.budget for summary in summaries}) > 1
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("strategy", no_wrap=True)
    if has_budgets:
        grid.add_column("budget", justify="right", no_wrap=True)
    # With budgets, there is no room for all columns in 80 characters; the JSON output has them.
    for column in COLUMNS[:7] if has_budgets else COLUMNS:
        grid.add_column(column, justify="right", no_wrap=True)
    for summary in summaries:
        cells = [
            f"{summary.mean:.4f}",
            f"{summary.std:.4f}",
            f"{summary.median:.4f}",
            f"{summary.rank:.2f}",
            f"{summary.best_signal:.4f}",
            str(summary.n),
            f"{summary.children:.1f}",
            f"{summary.distinct:.1f}",
            f"{summary.seconds:.3f}",
        ]
        if has_budgets:
            cells = [f"{summary.budget:,.10g}", *cells[:7]]
        grid.add_row(summary.strategy, *cells)
    console.print(grid)
    best = table.best_signal
    lines = [
        "mean, std, median: result of the child with the best signal, over seeds. Others: means over seeds.",
        "rank: place among these strategies, 1 is best; ties share.",
        f"In the table: best result {table.best_result:.4f}; best signal {best.signal:.4f}, "
        f"with result {best.result:.4f}.",
    ]
    for summary in summaries:
        if summary.exhausted:
            at = f", budget {summary.budget:,.10g}" if has_budgets else ""
            lines.append(
                f"{summary.strategy}{at}: {summary.exhausted} of {summary.n} runs ended early: nothing new "
                "was proposed."
            )
    console.print("\n".join(lines))
