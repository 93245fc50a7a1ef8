"""Everything that a report computes from a study, once for all formats."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from raynas.programs.benchmark.benchmark import SeedResult
from raynas.programs.benchmark.report.baselines import ONE_DRAW, one_draw
from raynas.programs.benchmark.report.pictures import ranks_picture, regret_picture, results_picture
from raynas.programs.benchmark.report.statistics import RankTest, rank_tests, regret_curve
from raynas.programs.benchmark.report.study import Study
from raynas.programs.benchmark.summary import StrategySummary, summarise


@dataclass(frozen=True, slots=True)
class Findings:
    """What was computed; mappings are by label, in the order of contenders, with the random draw last."""

    study: Study
    seed_results: Mapping[str, list[SeedResult]]
    results: Mapping[str, list[float]]
    """Result of each seed."""
    tests: list[RankTest]
    """Tests of all pairs of strategies."""
    summaries: list[StrategySummary]
    """Each strategy after each budget, without the random draw."""
    regret_svg: str
    results_svg: str
    ranks_svg: str

    @property
    def seed_results_of_searches(self) -> dict[str, list[SeedResult]]:
        """The results of the searches, without the random draw."""
        return {label: group for label, group in self.seed_results.items() if label != ONE_DRAW.label}

    @property
    def all_seed_results(self) -> list[SeedResult]:
        return [seed_result for group in self.seed_results.values() for seed_result in group]

    def regret_at(self, label: str, time: float) -> str:
        """Mean regret over seeds at simulated second `time`; '-' if a seed had no finished child by then."""
        found = [seed_result.run.best_at(time) for seed_result in self.seed_results[label]]
        results = [best.result for best in found if best is not None]
        if len(results) < len(found):
            return "-"
        return f"{self.study.table.best_result - statistics.fmean(results):.4f}"

    def whole_cost(self, seed_result: SeedResult) -> float:
        """Recorded seconds of a whole training of the architecture that was found."""
        return self.study.table.rows[seed_result.best.name].cost / self.study.recipe.cost_scale


def findings_of(study: Study) -> Findings:
    """Draws the random sample, compares all pairs of strategies, and draws the pictures."""
    best_result, budget = study.table.best_result, study.setting.budget
    searches = {contender.label: study.of(contender.label) for contender in study.contenders}
    seed_results = {**searches, ONE_DRAW.label: one_draw(study.table, study.setting, study.seeds)}
    results = {
        label: [seed_result.best.result for seed_result in group] for label, group in seed_results.items()
    }
    curves = {
        label: regret_curve(group, best_result=best_result, budget=budget)
        for label, group in searches.items()
    }
    summaries = summarise(study.seed_results)
    return Findings(
        study,
        seed_results,
        results,
        rank_tests(results),
        summaries,
        regret_picture(curves, one_draw=best_result - statistics.fmean(results[ONE_DRAW.label])),
        results_picture({label: results[label] for label in searches}, best_result=best_result),
        ranks_picture(summaries),
    )
