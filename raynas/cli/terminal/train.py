"""`raynas train`: prints the plan, a line per epoch, and the result."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from raynas.cli.terminal.commands import program, resume_training
from raynas.cli.terminal.train_plan import Pace, plan_lines
from raynas.programs.train.execute import TrainResult
from raynas.programs.train.pace import within_hours
from raynas.programs.train.prepare import prepare_named_training
from raynas.programs.train.train import train_prepared
from raynas.run.interruption import Interruption, interruptible
from raynas.training.final_config import ClassifierSummary, EpochSummary, StepSummary, TrainingSummary


def run_train(
    what: str | None,
    *,
    recipe: str | None,
    settings: Mapping[str, Any],
    out: Path | None,
    resume: bool,
    is_dry: bool,
    hours: float | None,
    pace: Pace,
    address: str | None,
    console: Console,
) -> None:
    """Prints the plan of a training and, unless `is_dry`, carries it out. Ctrl-C prints how to resume.

    Args:
        hours: choose as many epochs as fit into them; None leaves the number of epochs as configured.
        pace: how fast a worker is, for the duration in the plan.
    Raises:
        UsageError: the cell, the data or a setting can't be used.
        TrainingFailed: the training diverged or could not continue.
    """
    prepared = prepare_named_training(
        what, recipe=recipe, out=out, resume=resume, is_plan=is_dry, settings=settings
    )
    if hours is not None:
        prepared = within_hours(prepared, hours, is_resumed=resume)
    for line in plan_lines(prepared, pace.of(prepared), is_resumed=resume):
        console.print(line)
    if is_dry:
        return
    progress = TrainingProgress(prepared.config.training.epochs, console, _accuracies)
    with resumable(resume_training(prepared.folder), console):
        result = train_prepared(
            prepared, address=address, report=progress.epoch_done, report_step=progress.step_done
        )
    console.print("\n".join(result_lines(result)))


@contextlib.contextmanager
def resumable(
    command: str, console: Console, *, how: str = "Resume from the last checkpoint with"
) -> Iterator[None]:
    """In the block Ctrl-C and SIGTERM end the program and print `how` and `command`, which resumes it."""

    def print_resume_hint() -> None:
        console.print(f"\nInterrupted. {how}\n  {command}")

    try:
        with interruptible(last_words=print_resume_hint):
            yield
    except Interruption as interruption:
        print_resume_hint()
        raise typer.Exit(interruption.exit_code) from None


def result_lines(result: TrainResult[ClassifierSummary]) -> list[str]:
    """The accuracies, what was written, and the next command."""
    best = max(result.summaries, key=lambda summary: summary.top1)
    lines = [
        f"\nDone: top-1 {result.summaries[-1].top1:.4f}, best {best.top1:.4f} after epoch {best.epoch}.",
        f"Trained network: {result.model}, best epoch: {result.best}",
    ]
    if result.registered is not None:
        lines.append(f"Registered in MLflow: {result.registered}")
    return [*lines, f"Export it:\n  {program()} export {shlex.quote(str(result.folder))}"]


class TrainingProgress:
    """Prints a line for each epoch, and for each checkpoint within an epoch.

    Args:
        epochs: those of the whole training.
        scores: what a task shows of an epoch, in words.
        unit: what a training's speed counts.
    """

    def __init__(
        self, epochs: int, console: Console, scores: Callable[[Any], str], *, unit: str = "images"
    ) -> None:
        self.epochs = epochs
        self.console = console
        self.scores = scores
        self.unit = unit

    def epoch_done(self, summary: EpochSummary) -> None:
        self._print(
            f"epoch done  epoch={summary.epoch}/{self.epochs} train_loss={summary.train_loss:.4f} "
            f"{self.scores(summary)} learning_rate={summary.learning_rate:.3g}",
            summary,
        )

    def step_done(self, summary: StepSummary) -> None:
        self._print(
            f"checkpoint  epoch={summary.epoch}/{self.epochs} step={summary.step} "
            f"train_loss={summary.train_loss:.4f}",
            summary,
        )

    def _print(self, text: str, summary: TrainingSummary) -> None:
        left = math.ceil(summary.seconds_left / 60)
        self.console.print(
            f"{text} {self.unit}_per_second={summary.images_per_second:.1f}  ({left} min left)"
        )


def _accuracies(summary: ClassifierSummary) -> str:
    return f"top1={summary.top1:.4f} top5={summary.top5:.4f}"
