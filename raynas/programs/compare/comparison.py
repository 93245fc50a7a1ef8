"""The page that compares children of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raynas.cells.draw.layout import cell_layout
from raynas.cells.draw.svg import cell_svg
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.traits import traits
from raynas.errors import UsageError
from raynas.programs.compare.differences import described, new_blocks
from raynas.programs.report.charts import SERIES, chart, legend_below
from raynas.programs.report.document import Document, Figure, Section, Table
from raynas.run.leaderboard import LeaderboardEntry
from raynas.run.lookup import decoded
from raynas.run.recorded import RecordedRun

MAX_CHILDREN = len(SERIES)
"""Number of children that one page compares: a colour each."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the children."""

    entry: LeaderboardEntry
    genotype: Genotype

    @property
    def name(self) -> str:
        accuracy = "-" if self.entry.accuracy is None else f"{self.entry.accuracy:.4f}"
        return f"child {self.entry.child} ({self.entry.arch_id[:8]}), accuracy {accuracy}"


def find_children(recorded: RecordedRun, asked: Sequence[str]) -> list[Compared]:
    """The children that a user names by number or by the beginning of an arch_id, in that order.

    Raises:
        UsageError: there is no such child, or there are too few or too many.
    """
    found = {entry.child: entry for entry in (_entry(recorded, text) for text in asked)}
    if not 2 <= len(found) <= MAX_CHILDREN:
        raise UsageError(f"{len(found)} different children were named; a page compares 2 to {MAX_CHILDREN}.")
    return [Compared(entry, decoded(recorded, number)) for number, entry in found.items()]


def comparison(recorded: RecordedRun, children: Sequence[Compared]) -> Document:
    """The page; the first child is what the others are compared with."""
    sections = (
        Section("Sizes and scores", (_sizes(children),)),
        Section("Curves", tuple(_curves(recorded, children))),
        _cells("Normal cells", children, is_reduction=False),
        _cells("Reduction cells", children, is_reduction=True),
        Section("Block by block", (_blocks(children),)),
    )
    numbers = ", ".join(str(child.entry.child) for child in children)
    return Document(
        f"Children {numbers} of {recorded.folder.resolve().name}",
        f"The others are compared with child {children[0].entry.child}: orange are the blocks that it lacks.",
        tuple(section for section in sections if section.blocks),
    )


def _entry(recorded: RecordedRun, text: str) -> LeaderboardEntry:
    for entry in recorded.entries:
        if text == str(entry.child):
            return entry
    # Entries are the best first: a beginning that fits several arch_ids means the best of them.
    for entry in recorded.entries:
        if text and entry.arch_id.startswith(text):
            return entry
    raise UsageError(
        f"{recorded.folder} has no child {text!r}. Give numbers of children, or beginnings of arch_ids, from "
        "'raynas leaderboard'."
    )


def _sizes(children: Sequence[Compared]) -> Table:
    columns = ("", *(f"child {child.entry.child}" for child in children))
    rows = list(zip(*(_facts(child).items() for child in children), strict=True))
    return Table(columns, tuple((row[0][0], *(value for _, value in row)) for row in rows))


def _facts(child: Compared) -> dict[str, str]:
    entry, found = child.entry, traits(child.genotype)
    most = [f"{op} {share:.0%}" for op, share in list(found.shares.items())[:3]]
    return {
        "arch_id": entry.arch_id,
        "accuracy": _number(entry.accuracy, ".4f"),
        "reward": _number(entry.reward, ".4f"),
        "status": entry.status,
        "parameters": _number(entry.parameters, ","),
        "multiply-adds": _number(entry.mult_adds, ","),
        "activations": _number(entry.activations, ","),
        "latency (ms)": _number(entry.latency_ms, ".3g"),
        "epochs": str(entry.epochs),
        "seconds": _number(entry.seconds, ",.1f"),
        "depth of the normal cell": str(found.normal_depth),
        "depth of the reduction cell": str(found.reduction_depth),
        "skip connections": str(found.skip_connections),
        "most frequent operations": ", ".join(most),
    }


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _curves(recorded: RecordedRun, children: Sequence[Compared]) -> Iterator[Figure]:
    for field, label in (("accuracy", "validation accuracy"), ("train_loss", "training loss")):
        with chart(x="epoch", y=label, counts_x=True) as made:
            for child, color in zip(children, SERIES, strict=False):
                result = recorded.records[child.entry.child].result
                curve = result.curve if result else ()
                points = [(report.epoch, getattr(report, field)) for report in curve]
                xs, ys = [x for x, _ in points], [y for _, y in points]
                name = f"child {child.entry.child}"
                made.axes.plot(xs, ys, color=color, label=name, marker="o", markersize=4)
            legend_below(made.axes)
            yield Figure(label.replace(" ", "-"), made.svg(), f"{label.capitalize()} by epoch.")


def _cells(title: str, children: Sequence[Compared], *, is_reduction: bool) -> Section:
    kind = "reduction" if is_reduction else "normal"
    cells = [_cell(child, is_reduction) for child in children]
    sizes = [cell_layout(cell, is_reduction=is_reduction) for cell in cells]
    largest = (max(size.width for size in sizes), max(size.height for size in sizes))
    figures = []
    for child, cell in zip(children, cells, strict=True):
        marked = new_blocks(cell, cells[0])
        svg = cell_svg(cell, is_reduction=is_reduction, marked=marked, min_size=largest)
        figures.append(Figure(f"{kind}-cell-{child.entry.child}", svg, f"{child.name.capitalize()}."))
    return Section(title, tuple(figures))


def _cell(child: Compared, is_reduction: bool) -> CellGenotype:
    return child.genotype.reduction if is_reduction else child.genotype.normal


def _blocks(children: Sequence[Compared]) -> Table:
    rows = []
    for is_reduction in (False, True):
        cells = [_cell(child, is_reduction) for child in children]
        marks = [new_blocks(cell, cells[0]) for cell in cells]
        for index in range(max(len(cell.blocks) for cell in cells)):
            name = f"{'reduction' if is_reduction else 'normal'} {index}"
            written = (_block(cell, index, marked) for cell, marked in zip(cells, marks, strict=True))
            rows.append((name, *written))
    columns = ("block", *(f"child {child.entry.child}" for child in children))
    return Table(columns, tuple(rows), "(new) marks what the first child lacks.")


def _block(cell: CellGenotype, index: int, marked: frozenset[int]) -> str:
    if index >= len(cell.blocks):
        return "-"
    return described(cell.blocks[index], cell.num_inputs) + (" (new)" if index in marked else "")
