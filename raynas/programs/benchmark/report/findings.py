"""What is computed of a study, once, for all formats."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from raynas.programs.benchmark.benchmark import Outcome
from raynas.programs.benchmark.report.baselines import ONE_DRAW, one_draw
from raynas.programs.benchmark.report.pictures import regret_picture, results_picture
from raynas.programs.benchmark.report.statistics import RankTest, rank_tests, regret_curve
from raynas.programs.benchmark.report.study import Study


@dataclass(frozen=True, slots=True)
class Findings:
    """By label, in the order of contenders, the random draw last."""

    study: Study
    outcomes: Mapping[str, list[Outcome]]
    results: Mapping[str, list[float]]
    tests: list[RankTest]
    """Of all pairs."""
    regret_svg: str
    results_svg: str

    @property
    def outcomes_of_searches(self) -> dict[str, list[Outcome]]:
        """Without the random draw."""
        return {label: group for label, group in self.outcomes.items() if label != ONE_DRAW.label}

    @property
    def all_outcomes(self) -> list[Outcome]:
        return [outcome for group in self.outcomes.values() for outcome in group]

    def regret_at(self, label: str, time: float) -> str:
        """The mean over seeds at simulated second `time`; a dash if a seed had no child by then."""
        found = [outcome.run.best_at(time) for outcome in self.outcomes[label]]
        results = [best.result for best in found if best is not None]
        if len(results) < len(found):
            return "-"
        return f"{self.study.table.best_result - statistics.fmean(results):.4f}"

    def whole_cost(self, outcome: Outcome) -> float:
        """Seconds of training of the architecture that was found, as recorded."""
        return self.study.table.rows[outcome.best.name].cost / self.study.recipe.cost_scale


def findings_of(study: Study) -> Findings:
    """Draws the random sample, compares, and draws the pictures."""
    best_result, budget = study.table.best_result, study.setting.budget
    searches = {contender.label: study.of(contender.label) for contender in study.contenders}
    outcomes = {**searches, ONE_DRAW.label: one_draw(study.table, study.setting, study.seeds)}
    results = {label: [outcome.best.result for outcome in group] for label, group in outcomes.items()}
    curves = {
        label: regret_curve(group, best_result=best_result, budget=budget)
        for label, group in searches.items()
    }
    return Findings(
        study,
        outcomes,
        results,
        rank_tests(results),
        regret_picture(curves, one_draw=best_result - statistics.fmean(results[ONE_DRAW.label])),
        results_picture({label: results[label] for label in searches}, best_result=best_result),
    )
