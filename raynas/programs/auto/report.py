"""The page at the end of an automatic run."""

from __future__ import annotations

from pathlib import Path

from raynas.cells.draw import genotype_svg
from raynas.files import LAST_MODEL_FOLDER
from raynas.models.folder import read_info
from raynas.models.reference import ReferenceSpec
from raynas.programs.auto.config import AutoState
from raynas.programs.auto.folder import PROMOTION, SEARCH, WINNER
from raynas.programs.auto.plan import END
from raynas.programs.auto.results import TITLES, Result, standard_error, verdict
from raynas.programs.auto.stages import REFERENCE, is_trained
from raynas.programs.report import charts
from raynas.programs.report.document import Code, Document, Figure, Paragraph, Section, Table, facts
from raynas.programs.train.curve import read_curve
from raynas.run.recorded import RecordedRun
from raynas.training.final_config import ClassifierSummary


def results(folder: Path, state: AutoState) -> list[Result]:
    """The networks that were trained to the end, the found cell first."""
    return [_result(folder, state, name) for name in TITLES if is_trained(folder, name)]


def auto_report(folder: Path, state: AutoState, found: list[Result]) -> Document:
    """The report of a run whose networks are trained."""
    num_images = state.images.validation
    lead = (
        f"{verdict(found, num_images)} The found cell's network has a top-1 accuracy of {found[0].top1:.1%} "
        f"on {num_images:,} validation images, after {state.plan.training.epochs} epochs."
    )
    sections = (_comparison(state, found), _cell(folder), _time(folder, state), _files(folder, state))
    return Document(f"Automatic run {folder.resolve().name}", lead, sections)


def _result(folder: Path, state: AutoState, name: str) -> Result:
    curve = read_curve(folder / name, ClassifierSummary)
    images = state.images
    if name == REFERENCE:
        spec = ReferenceSpec(name, images.channels, images.classes, images.image_size)
        parameters, mult_adds = spec.parameters(), spec.mult_adds()
    else:
        cost = read_info(folder / name / LAST_MODEL_FOLDER).spec.complexity()
        parameters, mult_adds = cost.parameters, cost.mult_adds
    seconds = sum(images.train / summary.images_per_second for summary in curve)
    return Result(
        name, curve[-1].top1, tuple(summary.top1 for summary in curve), parameters, mult_adds, seconds
    )


def _comparison(state: AutoState, found: list[Result]) -> Section:
    num_images = state.images.validation
    rows = tuple(
        (
            result.title,
            f"{result.top1:.4f} +- {standard_error(result.top1, num_images):.4f}",
            f"{result.parameters:,}",
            f"{result.mult_adds / 1e6:,.1f} M",
            f"{result.seconds:,.0f} s",
        )
        for result in sorted(found, key=lambda result: -result.top1)
    )
    table = Table(
        ("network", "top-1", "parameters", "multiply-adds", "time of training"),
        rows,
        f"All were trained by the recipe small_final for {state.plan.training.epochs} epochs on the same "
        f"{state.images.train:,} images, from the same seed; networks of cells have "
        f"{state.plan.cells_per_stack} cells per stack and {state.plan.filters} filters. The deviation is "
        "the standard error that follows from the number of validation images; another seed would differ "
        "too.",
    )
    note = Paragraph(
        "The found cell was chosen by its accuracy on the same validation images, which is a small advantage "
        "over the baselines. For numbers to publish, measure all of them on images that nobody has seen."
    )
    left_out = [Paragraph(f"{TITLES[name]} is missing: {why}.") for name, why in state.left_out.items()]
    return Section("The found cell beside baselines", (table, *left_out, note, _curves(found)))


def _curves(found: list[Result]) -> Figure:
    with charts.chart(x="epoch", y="top-1", width=8.0, counts_x=True) as made:
        for result, color in zip(found, charts.SERIES, strict=False):
            epochs = range(1, len(result.curve) + 1)
            made.axes.plot(epochs, result.curve, label=result.title, color=color, marker="o", markersize=3)
        charts.legend_below(made.axes)
        svg = made.svg()
    return Figure("accuracy", svg, "Top-1 accuracy on the validation images after each epoch.")


def _cell(folder: Path) -> Section:
    genotype = read_info(folder / WINNER / LAST_MODEL_FOLDER).genotype
    caption = f"Normal and reduction cell of architecture {genotype.arch_id}."
    return Section("The found cell", (Figure("cell", genotype_svg(genotype), caption, is_wide=True),))


def _time(folder: Path, state: AutoState) -> Section:
    first, last = state.first_plan, state.plan
    search, promotion, training = last.search, last.promotion, last.training
    children = len(RecordedRun.read(folder / SEARCH).entries)
    starts = [0.0, state.ends["search"], state.ends["promotion"], state.ends["training"]]
    taken = [end - start for start, end in zip(starts, [*starts[1:], state.spent_seconds], strict=True)]
    rows = (
        ("search", f"{children} children, at most {search.epochs} epochs each", first.search.seconds),
        ("promotion", f"{promotion.top} cells for {promotion.epochs} epochs", first.promotion.seconds),
        ("training", f"{training.epochs} epochs for each network", first.training.seconds),
        ("export and report", "", END),
        ("together", f"{state.config.hours:g} hours asked", state.config.hours * 3600),
    )
    table = Table(
        ("stage", "what", "planned (s)", "taken (s)"),
        tuple(
            (name, what, f"{planned:,.0f}", f"{seconds:,.0f}")
            for (name, what, planned), seconds in zip(rows, [*taken, state.spent_seconds], strict=True)
        ),
        "The look at the images and the measured pace are part of the search. The promotion and the training "
        "were planned anew in the time that was left.",
    )
    return Section("Time", (table,))


def _files(folder: Path, state: AutoState) -> Section:
    name = f"model.{state.config.export}"
    files = facts(
        (
            (name, "the found cell's network"),
            (f"{name}.md", "its model card: classes, preprocessing, code that runs it"),
            (f"{WINNER}/", "its training, with weights that raynas train --weights takes"),
            (f"{SEARCH}/, {PROMOTION}/", "the runs, for raynas report, leaderboard and show"),
            ("resnet18/, nasnet_a/, random/", "the trainings of the baselines"),
        )
    )
    data = Code(f"data {state.config.data.source}, {state.images.classes} classes, seed {state.config.seed}")
    return Section("Files", (files, data))
