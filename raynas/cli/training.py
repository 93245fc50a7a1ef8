"""`raynas train` on the terminal: the plan, the epochs, and what came of it."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from raynas.cells import find_cell
from raynas.cli.console import command, short_count
from raynas.errors import UsageError
from raynas.interruption import Interruption, interruptible
from raynas.networks import NETWORKS
from raynas.train import TrainResult, prepare_training, train_final
from raynas.train_setup import PreparedTraining
from raynas.training.final_config import EpochSummary

MIN_NORM_TIME_CONSTANTS = 5.0
"""Updates, in units of 1 / momentum, after which running statistics have forgotten where they began."""


def run_train(
    what: str | None,
    *,
    recipe: str,
    settings: Mapping[str, Any],
    out: Path | None,
    resume: bool,
    is_dry: bool,
    images_per_second: float | None,
    address: str | None,
    console: Console,
) -> None:
    """Prepares, prints the plan, and trains unless `is_dry`; after Ctrl-C says how to go on."""
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the training to go on with.")
    found = None if resume else find_cell(NETWORKS[what].cell if what in NETWORKS else what)
    folder = out or Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-training"
    prepared = prepare_training(
        found.genotype if found else None,
        cell=str(what or "best"),
        origin=found.origin if found else None,
        recipe=recipe,
        out=folder,
        resume=resume,
        settings=settings,
    )
    for line in plan_lines(prepared, images_per_second):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if is_dry:
        return
    print_epoch = _Epochs(prepared, console)

    def say_how_to_go_on() -> None:
        console.print(f"\nInterrupted. Go on from the last checkpoint with\n  {_resume(prepared.folder)}")

    try:
        with interruptible(last_words=say_how_to_go_on):
            result = train_final(prepared, address=address, report=print_epoch)
    except Interruption as interruption:
        say_how_to_go_on()
        raise typer.Exit(interruption.exit_code) from None
    console.print("\n".join(result_lines(result)), markup=False, highlight=False, soft_wrap=True)


def result_lines(result: TrainResult) -> list[str]:
    """What came of it, and what to type next."""
    best = max(result.summaries, key=lambda summary: summary.top1)
    lines = [
        f"\nDone: top-1 {result.summaries[-1].top1:.4f}, best {best.top1:.4f} after epoch {best.epoch}.",
        f"The network: {result.model}, of the best epoch: {result.best}",
    ]
    if result.registered is not None:
        lines.append(f"In MLflow's registry: {result.registered}")
    return [*lines, f"Export it:\n  {command()} export {shlex.quote(str(result.folder))}"]


def plan_lines(training: PreparedTraining, images_per_second: float | None) -> list[str]:
    """What is going to be done.

    Args:
        images_per_second: of one worker, measured or guessed, for the hours that it will take.
    """
    config, cost = training.config, training.complexity()
    steps = training.num_train_images // config.training.batch_size
    optimizer, schedule = config.training.optimizer, config.training.schedule
    lines = [
        f"raynas train: {config.cell}, recipe {config.recipe}, seed {config.seed}",
        f"network: {short_count(cost.parameters)} parameters, {short_count(cost.mult_adds)} multiply-adds "
        f"(without the auxiliary head), {training.image_size} pixels, {training.data.num_classes} classes",
        f"data: {config.data.source}, {training.num_train_images:,} training images, "
        f"{'streamed' if config.data.streamed else 'in memory'}",
        f"training: {config.training.epochs} epochs of {steps:,} updates, "
        f"{config.training.epochs * steps:,} in all; {config.training.batch_size} images each",
        f"optimiser: {optimizer.name}, learning rate {optimizer.rate(config.training.batch_size):g} at most, "
        f"{schedule.name}"
        + (f" after {schedule.warmup_epochs:g} epochs of warm-up" if schedule.warmup_epochs else ""),
        f"workers: {config.workers.count}; checkpoints and model: {training.folder}",
    ]
    momentum = config.network.conventions.norm_momentum
    if config.training.epochs * steps * momentum < MIN_NORM_TIME_CONSTANTS:
        lines.append(
            f"note: network.conventions.norm_momentum = {momentum:g} is for long trainings; in "
            f"{config.training.epochs * steps:,} updates batch norm's statistics don't settle and accuracies "
            "stay near chance. Set it to 0.1."
        )
    if images_per_second is not None:
        total = config.training.epochs * training.num_train_images
        hours = total / images_per_second / 3600
        lines.append(
            f"time: {hours:,.1f} worker hours for {total:,} images at {images_per_second:g} images/s and "
            "worker, without validation"
        )
    return lines


class _Epochs:
    """Prints a line per epoch, with the time that is left at the pace so far."""

    def __init__(self, training: PreparedTraining, console: Console) -> None:
        self.epochs, self.console = training.config.training.epochs, console
        self.began = time.monotonic()
        self.first: int | None = None

    def __call__(self, summary: EpochSummary) -> None:
        self.first = summary.epoch - 1 if self.first is None else self.first
        pace = (time.monotonic() - self.began) / (summary.epoch - self.first)
        left = math.ceil(pace * (self.epochs - summary.epoch) / 60)
        self.console.print(
            f"epoch done  epoch={summary.epoch}/{self.epochs} train_loss={summary.train_loss:.4f} "
            f"top1={summary.top1:.4f} top5={summary.top5:.4f} learning_rate={summary.learning_rate:.3g} "
            f"images_per_second={summary.images_per_second:.1f}  ({left} min left)",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _resume(folder: Path) -> str:
    return f"{command()} train --out {folder} --resume"
