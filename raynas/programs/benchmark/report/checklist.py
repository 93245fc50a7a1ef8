"""The fourteen best practices of Lindauer & Hutter 2020 (JMLR 21, 243), and how a report meets each."""

from __future__ import annotations

from raynas.programs.benchmark.report.baselines import ONE_DRAW
from raynas.programs.benchmark.report.study import Study
from raynas.programs.report.document import Paragraph, Section, Table


def checklist(study: Study) -> Section:
    seeds = f"{len(study.seeds)} seeds, mean and standard deviation under Results"
    rows = (
        ("code of the training pipeline", "the table's authors'; nothing was trained here"),
        ("code of the search", "raynas, in the version under Setting"),
        ("code as it is, not cleaned first", "the code that also runs on real children"),
        ("the same benchmark for all", "one table, one space, one signal, one budget: Setting"),
        ("ablations", "not in this report; LABEL=STRATEGY and --set compare options"),
        ("the same evaluation for all", "the result is looked at once, for the best child by signal"),
        ("performance against compute", "Regret against time"),
        ("random sampling and random search", f"{ONE_DRAW.label} and random, under Results"),
        ("several runs, with seeds", seeds),
        ("tabular benchmarks", f"{study.recipe.table.name}, {len(study.table.rows):,} architectures"),
        ("confounders", "each run in one thread on one machine; versions and hardware under Setting"),
        (
            "tuning of the method, and its cost",
            "the options are listed; what their tuning cost is for the author",
        ),
        ("cost from end to end", "Cost, end to end"),
        ("the whole setting", "Setting, Options of the strategies; every run is in runs.parquet"),
    )
    numbered = tuple((str(number), *row) for number, row in enumerate(rows, start=1))
    columns = ("practice", "what is asked", "in this report")
    source = (
        'Lindauer and Hutter, "Best Practices for Scientific Research on Neural Architecture Search", JMLR '
        "21 (243), 2020."
    )
    return Section("The list of best practices", (Paragraph(source), Table(columns, numbered)))
