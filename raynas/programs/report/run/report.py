"""The report of a run, finished or not and with any strategy, made of its journal alone."""

from __future__ import annotations

from raynas.programs.report.document import Document
from raynas.programs.report.run.cells import COST_NAMES, best_cells, costs_of_cells
from raynas.programs.report.run.data import RunData, run_data
from raynas.programs.report.run.facts import circumstances_of_run, cost_of_run, settings
from raynas.programs.report.run.learning import learning
from raynas.programs.report.run.progress import progress
from raynas.run.recorded import RecordedRun


def run_report(recorded: RecordedRun) -> Document:
    """The report of a run, named after its folder."""
    run = run_data(recorded)
    sections = (
        progress(run),
        learning(run),
        best_cells(run),
        costs_of_cells(run),
        cost_of_run(run),
        circumstances_of_run(run),
        settings(run),
    )
    written = tuple(section for section in sections if section.blocks)
    kind = "Promotion" if run.config.get("origin") else "Search"
    return Document(f"{kind} {recorded.folder.resolve().name}", _lead(run), written)


def _lead(run: RunData) -> str:
    counts, best = run.status.children, run.status.best
    asked = "" if counts.asked is None else f" of {counts.asked:,}"
    state = "" if run.status.is_complete else "; the run is unfinished"
    what = (
        f"Strategy {run.chosen('strategy')} in the search space {run.chosen('space')} on "
        f"{run.flat.get('data.source', 'unknown data')}: {counts.done:,}{asked} children have ended{state}."
    )
    if best is None:
        return f"{what} None of them has a score yet."
    accuracy = "" if best.accuracy is None else f" with a validation accuracy of {best.accuracy:.4f}"
    return f"{what} The best is {best.arch_id} (child {best.child}){accuracy}.{_front(run)}"


def _front(run: RunData) -> str:
    if run.recorded.trade is None:
        return ""
    size = len({entry.arch_id for entry in run.recorded.entries if entry.on_front})
    volume = run.recorded.hypervolume
    cost = COST_NAMES[run.recorded.trade.cost]
    return f" On the front of accuracy against {cost} are {size:,} cells; hypervolume {volume:.4f}."
