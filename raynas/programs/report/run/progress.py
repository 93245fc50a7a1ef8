"""How good the best was, and when."""

from __future__ import annotations

from raynas.programs.report.document import Figure, Paragraph, Section
from raynas.programs.report.run import charts
from raynas.programs.report.run.data import RunData


def progress(run: RunData) -> Section:
    if not any(child.accuracy is not None for child in run.ended):
        return Section("Progress", (Paragraph("No child has a score yet, so there is nothing to be drawn."),))
    reused = f" {run.num_reused:,} scores are those of an equal cell before." if run.num_reused else ""
    return Section(
        "Progress",
        (
            Figure(
                "best-against-children",
                charts.best_against_children(run.ended),
                "Validation accuracy of each child in the order in which they ended, and the best so far. "
                f"Infeasible proposals are left out.{reused}",
            ),
            Figure(
                "best-against-time",
                charts.best_against_time(run.ended),
                "The same against the time in which a driver was at work. The start of the workers is in it, "
                "pauses between an interruption and a resume are not.",
            ),
            Paragraph(
                "The best of many single trainings is partly the luckiest: on the images by which it was "
                "chosen, its accuracy is too high an estimate. 'raynas promote' trains the best cells again "
                "and longer."
            ),
        ),
    )
