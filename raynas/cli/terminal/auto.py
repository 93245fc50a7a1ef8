"""`raynas auto`: prints the plan with times, progress, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.console import Console

from raynas.cli.terminal.commands import program, this_command
from raynas.cli.terminal.quantities import duration
from raynas.cli.terminal.train import resumable
from raynas.programs.auto.auto import AutoResult, PreparedAuto, run_auto
from raynas.programs.auto.config import AutoState
from raynas.programs.auto.plan import END
from raynas.programs.auto.results import standard_error, verdict


def run_on_terminal(prepared: PreparedAuto, console: Console, *, is_dry: bool) -> None:
    """Prints the plan and, unless `is_dry`, carries it out. Ctrl-C prints how to go on."""
    for line in plan_lines(prepared):
        console.print(line)
    if is_dry:
        return
    with resumable(this_command(), console, how="The same command continues it:"):
        result = run_auto(prepared, say=console.print)
    for line in result_lines(result, prepared.state):
        console.print(line)


def plan_lines(prepared: PreparedAuto) -> Iterator[str]:
    """What will be done, in which time."""
    state = prepared.state
    yield f"raynas auto: {state.config.hours:g} hours, folder {prepared.folder}"
    yield from prepared.notes
    if not prepared.is_new:
        yield f"continued: {state.stage}, {duration(state.spent_seconds)} of work are done"
    yield from _stage_lines(state)


def _stage_lines(state: AutoState) -> Iterator[str]:
    plan, paces, images = state.plan, state.paces, state.images
    yield (
        f"measured here: {paces.search:,.0f} images/s in the search, {paces.reference:,.0f} for ResNet-18; "
        f"{images.train:,} training images of {images.image_size} pixels"
    )
    yield (
        f"search     {duration(plan.search.seconds):>12}  about {plan.search.children} children of "
        f"{plan.search.epochs} epochs with {plan.search.train_images:,} images"
    )
    size = f"{plan.cells_per_stack} cells per stack, {plan.filters} filters"
    yield (
        f"promotion  {duration(plan.promotion.seconds):>12}  the best {plan.promotion.top} cells for "
        f"{plan.promotion.epochs} epochs, {size}"
    )
    yield (
        f"training   {duration(plan.training.seconds):>12}  the winner, ResNet-18, NASNet-A and a random "
        f"cell for about {plan.training.epochs} epochs each"
    )
    yield f"export     {duration(END):>12}  {state.config.export}, model card and report"


def result_lines(result: AutoResult, state: AutoState) -> Iterator[str]:
    """The accuracies, who won, and what was written."""
    num_images = state.images.validation
    yield ""
    for one in sorted(result.results, key=lambda one: -one.top1):
        error = standard_error(one.top1, num_images)
        yield f"{one.title:<12} top-1 {one.top1:.4f} +- {error:.4f}  {one.parameters:>12,} parameters"
    yield verdict(result.results, num_images)
    yield f"Network: {result.file}, its card: {result.file}.md"
    yield f"Report: {result.report}"
    yield f"Compare cells in the MLflow UI:\n  {program()} ui --runs {shlex.quote(str(result.folder))}"
