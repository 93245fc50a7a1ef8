"""The sections of a benchmark's report.

Together they follow the checklist of Lindauer & Hutter 2020, "Best Practices for Scientific Research on
Neural Architecture Search" (JMLR 21, 243).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from raynas.programs.benchmark.benchmark import BenchmarkSetting
from raynas.programs.benchmark.report.baselines import ONE_DRAW
from raynas.programs.benchmark.report.checklist import checklist
from raynas.programs.benchmark.report.findings import Findings
from raynas.programs.benchmark.report.statistics import CONFIDENCE, mean_interval
from raynas.programs.benchmark.report.study import Study
from raynas.programs.report.document import Code, Document, Figure, Paragraph, Section, Table

SIGNIFICANCE = 0.05
"""Two strategies count as different below this corrected p."""
SHARES = (0.1, 0.25, 0.5, 1.0)
"""Shares of the budget at which the regret is tabulated."""
HOUR = 3600.0


def document_of(study: Study, findings: Findings, facts: dict[str, str]) -> Document:
    """The report as a document.

    Args:
        facts: date, versions and machine, by name.
    """
    labels = [contender.label for contender in study.contenders]
    return Document(
        f"Benchmark on {study.recipe.table.name}: {', '.join(labels)}",
        f"{_best(study, findings)} {_against_random(study, findings)}",
        (
            _results(study, findings),
            *_smaller_budgets(study, findings),
            _regret(study, findings),
            _comparison(findings),
            _cost(study, findings),
            _setting(study, facts),
            _options(study),
            checklist(study),
        ),
    )


def _best(study: Study, findings: Findings) -> str:
    best = max(findings.results, key=lambda label: statistics.fmean(findings.results[label]))
    return (
        f"{len(study.contenders)} strategies, {_seeds(study)} each, {study.setting.budget:,.0f} simulated "
        f"seconds on {_workers(study)}. The highest mean result is that of {best}: "
        f"{statistics.fmean(findings.results[best]):.4f}. The table's best result is "
        f"{study.table.best_result:.4f}; the cell with its best signal has "
        f"{study.table.best_signal.result:.4f}, which is where a perfect search by the signal ends."
    )


def _against_random(study: Study, findings: Findings) -> str:
    """Which strategies are better and worse than random search, and which can't be told apart from it."""
    random = next(contender.label for contender in study.contenders if contender.strategy == "random")
    verdicts: dict[str, list[str]] = {"better than": [], "worse than": [], "not distinguishable from": []}
    for test in findings.tests:
        if random not in (test.better, test.other) or ONE_DRAW.label in (test.better, test.other):
            continue
        rival = test.other if test.better == random else test.better
        is_significant = test.corrected_p < SIGNIFICANCE
        verdict = (
            "not distinguishable from"
            if not is_significant
            else "better than"
            if rival == test.better
            else "worse than"
        )
        verdicts[verdict].append(rival)
    parts = [
        f"{verdict} random search: {', '.join(labels)}" for verdict, labels in verdicts.items() if labels
    ]
    if not parts:
        return "Random search alone took part."
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]} (rank test at {SIGNIFICANCE}, corrected for all pairs)."


def _results(study: Study, findings: Findings) -> Section:
    columns = (
        "strategy",
        "mean",
        f"{CONFIDENCE:.0%} interval",
        "std",
        "median",
        "lowest",
        "highest",
        "signal",
    )
    rows = []
    for label, seed_results in findings.seed_results.items():
        results = findings.results[label]
        low, high = mean_interval(results)
        signal = statistics.fmean(seed_result.best.signal for seed_result in seed_results)
        middle = [f"{low:.4f} to {high:.4f}", _deviation(results)]
        values = (statistics.median(results), min(results), max(results), signal)
        rows.append(
            (label, f"{statistics.fmean(results):.4f}", *middle, *(f"{value:.4f}" for value in values))
        )
    note = (
        f"A run's result is '{study.recipe.result}' of its best child by '{study.recipe.signal}', looked at "
        "once, at the end. All statistics are over "
        f"{_seeds(study)}; signal is the mean signal of the best child. Accuracies are fractions. "
        f"{ONE_DRAW.label} is random sampling: the first architecture that is drawn, without any search."
    )
    caption = (
        "Results of the seeds: quartiles and median, whiskers from the 5th to the 95th percentile, and the "
        f"mean as a diamond. {ONE_DRAW.label} is left out, for it would need another scale."
    )
    picture = Figure("results", findings.results_svg, caption, is_wide=True)
    return Section("Results", (Paragraph(note), Table(columns, tuple(rows)), picture))


def _smaller_budgets(study: Study, findings: Findings) -> list[Section]:
    """How the searches stood at the end of each budget; nothing if there is one budget."""
    if not study.setting.smaller_budgets:
        return []
    rows = tuple(
        (
            summary.strategy,
            f"{summary.budget:,.10g}",
            f"{summary.mean:.4f}",
            f"{summary.std:.4f}",
            f"{summary.median:.4f}",
            f"{summary.rank:.2f}",
            f"{summary.children:.1f}",
        )
        for summary in findings.summaries
    )
    columns = ("strategy", "budget, s", "mean", "std", "median", "rank", "children")
    note = (
        "A search doesn't know its budget: after a smaller one it stands where a search of that budget ends. "
        "Rank: mean place among the strategies with the same seed; 1 has the highest result, ties share."
    )
    caption = "Mean place of each strategy after each budget; higher is better."
    picture = Figure("ranks", findings.ranks_svg, caption, is_wide=True)
    return [Section("Results after each budget", (Paragraph(note), picture, Table(columns, rows)))]


def _regret(study: Study, findings: Findings) -> Section:
    caption = (
        f"Mean regret against simulated time, with the {CONFIDENCE:.0%} confidence interval of the mean over "
        f"{_seeds(study)}. Each line begins when all of its seeds have a finished child."
    )
    times = sorted({share * study.setting.budget for share in SHARES} | set(study.setting.budgets))
    rows = tuple(
        (label, *(findings.regret_at(label, time) for time in times))
        for label in findings.seed_results_of_searches
    )
    columns = ("strategy", *(f"at {time:,.0f} s" for time in times))
    note = (
        f"Regret is the table's best result, {study.table.best_result:.4f}, minus the result of the best "
        "child by signal so far. It can rise, because a child with a better signal may have a worse result."
    )
    picture = Figure("regret", findings.regret_svg, caption, is_wide=True)
    return Section("Regret against time", (Paragraph(note), picture, Table(columns, rows)))


def _comparison(findings: Findings) -> Section:
    rows = tuple(
        (
            test.better if is_significant else f"({test.better})",
            test.other,
            f"{test.superiority:.3f}",
            f"{test.difference:+.4f}",
            _p(test.p),
            _p(test.corrected_p),
            "yes" if is_significant else "no",
        )
        for test in findings.tests
        for is_significant in [test.corrected_p < SIGNIFICANCE]
    )
    columns = ("better", "other", "probability", "difference", "p", "p corrected", "significant")
    note = (
        "Two-sided Mann-Whitney U test of the results for each pair, with p corrected for the number of "
        "pairs (Holm). Probability: that a run of the better one ends higher than a run of the other; a tie "
        f"counts half. Difference: of the mean results. Significant: corrected p below {SIGNIFICANCE}; the "
        "better one is in brackets if the difference is not significant."
    )
    return Section("Who is better than whom", (Paragraph(note), Table(columns, rows)))


def _cost(study: Study, findings: Findings) -> Section:
    rows = []
    for label, seed_results in findings.seed_results.items():
        children = statistics.fmean(seed_result.run.num_children for seed_result in seed_results)
        distinct = statistics.fmean(seed_result.run.num_distinct for seed_result in seed_results)
        trained = statistics.fmean(seed_result.run.seconds for seed_result in seed_results)
        final = statistics.fmean(findings.whole_cost(seed_result) for seed_result in seed_results)
        seconds = statistics.fmean(seed_result.seconds for seed_result in seed_results)
        hours = [
            f"{trained / HOUR:.2f}",
            f"{final / HOUR:.2f}",
            f"{(trained + final) * len(seed_results) / HOUR:,.1f}",
        ]
        real = [f"{seconds:.3f}", f"{1000 * seconds / max(children, 1):.2f}"]
        rows.append((label, f"{children:.1f}", f"{distinct:.1f}", *hours, *real))
    columns = (
        "strategy",
        "children",
        "architectures",
        "search, h",
        "final, h",
        "all runs, h",
        "CPU s per run",
        "CPU ms per child",
    )
    total = sum(seed_result.seconds for seed_result in findings.all_seed_results)
    note = (
        "What the searches would have cost, in hours of one worker, had the children been trained. Search: "
        "the finished children of a run, on the mean. Final: one training of the chosen architecture at the "
        f"whole recorded cost ('{study.recipe.cost}' without the scale of {study.recipe.cost_scale:g}). All "
        f"runs: both, times the seeds. What they did cost: {total:,.1f} seconds of processor time, "
        f"{study.wall_seconds:,.1f} seconds of wall-clock time with {study.processes} "
        f"process{'es' if study.processes > 1 else ''}{_resumed(study)}, strategies included. The "
        "table's own training and the tuning of the strategies' options are not counted."
    )
    return Section("Cost, end to end", (Paragraph(note), Table(columns, tuple(rows))))


def _resumed(study: Study) -> str:
    return (
        f" for all but {study.num_resumed:,} runs, which were done before a resume"
        if study.num_resumed
        else ""
    )


def _setting(study: Study, facts: dict[str, str]) -> Section:
    recipe, setting = study.recipe, study.setting
    is_charged = setting.equal_cells == "retrain"
    settings = {
        "table": f"{recipe.table}, {len(study.table.rows):,} architectures",
        "search space": f"{recipe.space}, {study.table.space.size:,} tuples of actions",
        "architecture": f"column '{recipe.arch_column}'",
        "signal": f"column '{recipe.signal}'",
        "result": f"column '{recipe.result}'",
        "cost": f"column '{recipe.cost}', times {recipe.cost_scale:g}",
        "budget": f"{_budgets(setting)} simulated seconds on {_workers(study)}; no child ends later",
        "equal cells": "charged again each time" if is_charged else "reuse the known score at no cost",
        "seeds": f"{study.seeds[0]} to {study.seeds[-1]}",
        **facts,
    }
    typed = Paragraph("Command line, typed in the folder to which its paths are relative:")
    return Section("Setting", (typed, Code(study.command), Table(("", ""), tuple(settings.items()))))


def _budgets(setting: BenchmarkSetting) -> str:
    *smaller, largest = (f"{budget:,.10g}" for budget in setting.budgets)
    return f"{largest}, looked at after {', '.join(smaller)} too;" if smaller else largest


def _options(study: Study) -> Section:
    columns = ("label", "strategy", "options")
    rows = tuple(
        (contender.label, contender.strategy, _options_text(contender.resolved_options()))
        for contender in study.contenders
    )
    space = study.table.space.model_dump(mode="json")
    note = (
        f"All options, defaults included. Those of the search space: {_options_text(space)}. This report "
        "doesn't know how the options were found, and at what cost: say so beside its numbers."
    )
    return Section("Options of the strategies", (Paragraph(note), Table(columns, rows)))


def _options_text(options: dict[str, object]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items()) or "none"


def _deviation(results: Sequence[float]) -> str:
    return f"{statistics.stdev(results):.4f}" if len(results) > 1 else "-"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _seeds(study: Study) -> str:
    return f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"


def _workers(study: Study) -> str:
    return f"{study.setting.workers} worker{'s' if study.setting.workers > 1 else ''}"
