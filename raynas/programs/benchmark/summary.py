"""Mean, standard deviation and rank over the seeds of each strategy, at each budget. Pure Python."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Iterable, Sequence

from raynas.config import FrozenModel
from raynas.programs.benchmark.benchmark import SeedResult


class StrategySummary(FrozenModel):
    """One strategy over its seeds. Accuracies are fractions."""

    strategy: str
    """Label of the contender."""
    budget: float
    """Simulated seconds of each run."""
    mean: float
    """Mean result of the best child by signal."""
    std: float
    """Standard deviation of the result between seeds, with n - 1; 0 for a single seed."""
    n: int
    """Number of seeds."""
    children: float
    """Mean number of children that finished within the budget."""
    median: float
    """Median result of the best child by signal."""
    best_signal: float
    """Mean signal of the best child."""
    rank: float
    """Mean place among all strategies with the same seed and budget: 1 has the highest result, ties share."""
    distinct: float
    """Mean number of different architectures among the children."""
    exhausted: int
    """Number of runs that ended early because the strategy proposed nothing new."""
    seconds: float
    """Mean processor time of one run."""


def summarise(seed_results: Iterable[SeedResult]) -> list[StrategySummary]:
    """One summary per budget and strategy: by rising budget, then in the order of their first results."""
    groups: dict[tuple[float, str], list[SeedResult]] = {}
    by_seed: dict[tuple[float, int], list[float]] = {}
    for seed_result in seed_results:
        for end in (*seed_result.earlier, seed_result):
            groups.setdefault((end.run.budget, end.label), []).append(end)
            by_seed.setdefault((end.run.budget, end.seed), []).append(end.best.result)
    ordered = {key: sorted(results) for key, results in by_seed.items()}
    # Sorting keeps the order of the strategies.
    return [
        _summary(*key, group, [place(end.best.result, ordered[key[0], end.seed]) for end in group])
        for key, group in sorted(groups.items(), key=lambda item: item[0][0])
    ]


def place(result: float, ordered: Sequence[float]) -> float:
    """Place of a result among several in ascending order: 1 for the highest; equal ones share their mean."""
    # Of n results, n - right are better and right - left are equal, this one included.
    left, right = bisect.bisect_left(ordered, result), bisect.bisect_right(ordered, result)
    return len(ordered) - right + (right - left + 1) / 2


def _summary(
    budget: float, label: str, seed_results: Sequence[SeedResult], places: Sequence[float]
) -> StrategySummary:
    found = [seed_result.best for seed_result in seed_results]
    results = [best.result for best in found]
    return StrategySummary(
        strategy=label,
        budget=budget,
        mean=statistics.fmean(results),
        std=statistics.stdev(results) if len(results) > 1 else 0.0,
        n=len(results),
        children=statistics.fmean(seed_result.run.num_children for seed_result in seed_results),
        median=statistics.median(results),
        best_signal=statistics.fmean(best.signal for best in found),
        rank=statistics.fmean(places),
        distinct=statistics.fmean(seed_result.run.num_distinct for seed_result in seed_results),
        exhausted=sum(seed_result.run.is_exhausted for seed_result in seed_results),
        seconds=statistics.fmean(seed_result.seconds for seed_result in seed_results),
    )
