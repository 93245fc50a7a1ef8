"""`raynas benchmark`: runs a benchmark, shows how far it is, and prints and keeps its results."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.console import Console
from rich.table import Table as Grid

from raynas.cells.space import SearchSpace, make_space
from raynas.cli.terminal.benchmark_progress import BenchmarkProgress, benchmark_progress
from raynas.cli.terminal.commands import this_command
from raynas.cli.terminal.console import loading, message_console, output_console
from raynas.errors import UnknownName, UsageError
from raynas.programs.benchmark import (
    ArchTable,
    BenchmarkSetting,
    Contender,
    SeedResult,
    StrategySummary,
    benchmark,
    parse_contender,
    read_table,
    summarise,
)
from raynas.programs.benchmark.benchmark import check, num_cpus
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.report.study import Study
from raynas.run.interruption import Interruption, interruptible

if TYPE_CHECKING:
    from raynas.programs.benchmark.kept import KeptResults

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
    resume: bool,
) -> None:
    """Runs the strategies on the table and prints what they found; with `report`, also writes a report.

    Ctrl-C and SIGTERM end it with exit codes 130 and 143, after saying what is kept.
    """
    contenders = contenders_of(strategies, settings)
    space = _space(recipe.space, settings.get(SPACE_KEY, {}))
    if report:
        from raynas.programs.benchmark.report import with_baselines

        _check_folder(report, resume=resume)
        contenders = with_baselines(contenders)
    elif resume:
        raise UsageError("--resume needs the folder of the benchmark that goes on: --report FOLDER.")
    console = message_console()
    with loading(console):
        table = read_table(recipe.table, space, recipe)
    check(contenders, table, setting)
    started_at = time.monotonic()
    labels = [contender.label for contender in contenders]
    with (
        _kept_results(report, resume, begun_with=(recipe, table, setting, contenders)) as kept,
        _interruption_told(report, console),
        benchmark_progress(labels, len(seeds), console) as progress,
    ):
        earlier = [one for one in kept.seed_results if one.seed in seeds] if kept else []
        progress.resumed(earlier)
        seed_results = benchmark(
            contenders,
            table,
            setting,
            seeds=seeds,
            processes=processes,
            done=earlier,
            on_progress=progress.advance,
            on_result=lambda result: _took(result, kept, progress),
        )
    wall_seconds = time.monotonic() - started_at
    summaries = summarise(seed_results)
    if format == "json":
        print(json.dumps([summary.model_dump() for summary in summaries], indent=2))
    else:
        _print_table(summaries, table, output_console())
    if report:
        study = Study(
            recipe=recipe,
            table=table,
            setting=setting,
            contenders=contenders,
            seeds=seeds,
            seed_results=seed_results,
            wall_seconds=wall_seconds,
            processes=num_cpus() if processes is None else processes,
            command=this_command(),
            num_resumed=len(earlier),
        )
        console.print(f"Report: {_write_report(report, study)}")


def _check_folder(report: Path, *, resume: bool) -> None:
    """UsageError unless a benchmark can begin in this folder, or go on there."""
    from raynas.programs.benchmark.kept import RESULTS_FILE, check_is_begun
    from raynas.programs.report.folder import new_folder

    if resume:
        check_is_begun(report)
    elif (report / RESULTS_FILE).exists():
        raise UsageError(
            f"{report} holds a benchmark already. --resume continues it; a new one needs another folder."
        )
    else:
        new_folder(report)


def _kept_results(
    report: Path | None, resume: bool, *, begun_with: tuple[Any, ...]
) -> contextlib.AbstractContextManager[KeptResults | None]:
    if report is None:
        return contextlib.nullcontext()
    from raynas.programs.benchmark.kept import KeptResults, begun

    beginning = begun(*begun_with)
    return (
        KeptResults.reopen(report, beginning, begun_with[1])
        if resume
        else KeptResults.create(report, beginning)
    )


def _took(result: SeedResult, kept: KeptResults | None, progress: BenchmarkProgress) -> None:
    if kept is not None:
        kept.append(result)
    progress.took(result)


@contextlib.contextmanager
def _interruption_told(report: Path | None, console: Console) -> Iterator[None]:
    """Says what is kept of a benchmark that is interrupted or fails in the block, and how it goes on."""

    def say(what: str) -> None:
        if report is None:
            console.print(f"{what} Nothing is kept: with --report FOLDER, a benchmark can be continued.")
        else:
            command = this_command() if "--resume" in sys.argv else f"{this_command()} --resume"
            console.print(f"{what} Finished runs are kept in {report}. Continue with\n  {command}")

    try:
        with interruptible(last_words=lambda: say("Interrupted, but some processes did not end in time.")):
            yield
    except Interruption as interruption:
        say(f"Interrupted by {'Ctrl-C' if interruption.name == 'SIGINT' else interruption.name}.")
        raise typer.Exit(interruption.exit_code) from None


def _write_report(report: Path, study: Study) -> Path:
    """Path of the HTML file, which is written unless all that it would show was there before."""
    from raynas.programs.benchmark.report import write_benchmark_report
    from raynas.programs.report.folder import HTML_FILE

    if study.num_resumed == len(study.seed_results) and (report / HTML_FILE).is_file():
        return report / HTML_FILE
    return write_benchmark_report(report, study)[0]


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


def _print_table(summaries: Sequence[StrategySummary], table: ArchTable, console: Console) -> None:
    has_budgets = len({summary.budget for summary in summaries}) > 1
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("strategy", no_wrap=True)
    if has_budgets:
        grid.add_column("budget", justify="right", no_wrap=True)
    for column in ("mean", "std", "median", "signal", "seeds", "children", "distinct", "CPU s"):
        grid.add_column(column, justify="right", no_wrap=True)
    for summary in summaries:
        grid.add_row(
            summary.strategy,
            *([f"{summary.budget:,.10g}"] if has_budgets else []),
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
    for summary in summaries:
        if summary.exhausted:
            at = f", budget {summary.budget:,.10g}" if has_budgets else ""
            lines.append(
                f"{summary.strategy}{at}: {summary.exhausted} of {summary.n} runs ended early: nothing new "
                "was proposed."
            )
    console.print("\n".join(lines))
