"""The folder of a benchmark's report: what is kept there, how a benchmark goes on, and what is said of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from raynas.cli.terminal.commands import this_command
from raynas.errors import UsageError
from raynas.programs.benchmark.report.study import Study
from raynas.run.interruption import Interruption, interruptible

if TYPE_CHECKING:
    from raynas.programs.benchmark.kept import KeptResults


def check_report_folder(report: Path | None, *, resume: bool) -> None:
    """UsageError unless a benchmark can begin in this folder, or go on there."""
    if report is None:
        if resume:
            raise UsageError("--resume needs the folder of the benchmark that goes on: --report FOLDER.")
        return
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


@contextlib.contextmanager
def kept_results(report: Path | None, study: Study, *, resume: bool) -> Iterator[KeptResults | None]:
    """The file in which the study's results are kept while the block runs; None without a folder."""
    if report is None:
        yield None
        return
    from raynas.programs.benchmark.kept import KeptResults, begun

    beginning = begun(study.recipe, study.table, study.setting, study.contenders)
    with (
        KeptResults.reopen(report, beginning, study.table)
        if resume
        else KeptResults.create(report, beginning)
    ) as kept:
        others = {one.seed for one in kept.seed_results} - set(study.seeds)
        if others:
            raise UsageError(
                f"{report} has results of the seed {min(others)}, and the seeds {study.seeds[0]} to "
                f"{study.seeds[-1]} are asked for. A resume may add seeds and leaves none out: correct "
                "--seeds and --first-seed, or give another folder."
            )
        yield kept


@contextlib.contextmanager
def interruption_told(report: Path | None, console: Console) -> Iterator[None]:
    """Says what is kept of a benchmark that is interrupted in the block, and how it goes on; then exits."""

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


def written_report(report: Path, study: Study) -> Path:
    """Path of the HTML file, which is written unless all that it would show was there before."""
    from raynas.programs.benchmark.report import write_benchmark_report
    from raynas.programs.report.folder import HTML_FILE

    if study.num_resumed == len(study.seed_results) and (report / HTML_FILE).is_file():
        return report / HTML_FILE
    return write_benchmark_report(report, study)[0]
