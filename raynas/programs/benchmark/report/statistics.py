"""What is computed from many runs: regret over time with its confidence, and who is better than whom."""

# Shapes: S seeds, T points in time.

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raynas.programs.benchmark.benchmark import Outcome

Array = NDArray[np.floating[Any]]
CONFIDENCE = 0.95
NUM_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class RegretCurve:
    """How far the best child by signal is from the table's best result, over seeds."""

    seconds_T: Array
    """Simulated; begins when all seeds have a child."""
    mean_T: Array
    low_T: Array
    """Of the confidence interval of the mean."""
    high_T: Array


@dataclass(frozen=True, slots=True)
class RankTest:
    """Two strategies compared: Mann-Whitney's U test, two-sided (Mann & Whitney 1947)."""

    better: str
    """The one with the higher probability of being better."""
    other: str
    superiority: float
    """Probability that a run of `better` ends with the higher result; a draw counts half."""
    difference: float
    """Of the means."""
    p: float
    corrected_p: float
    """For the number of comparisons (Holm 1979)."""


def regret_curve(outcomes: Sequence[Outcome], *, best_result: float, budget: float) -> RegretCurve:
    """Mean regret with the confidence interval of Student's t."""
    begin = max(outcome.run.trajectory[0].time for outcome in outcomes)
    seconds_T = np.geomspace(begin, budget, NUM_POINTS)
    # Rounding must not put the first point before the slowest seed's first child, nor the last one later.
    seconds_T[[0, -1]] = begin, budget
    regret_ST = best_result - np.stack([_results_at(outcome, seconds_T) for outcome in outcomes])
    mean_T = regret_ST.mean(axis=0)
    half_T = _half_width(regret_ST)
    return RegretCurve(seconds_T, mean_T, mean_T - half_T, mean_T + half_T)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The confidence interval of the mean; of a single value, that value."""
    mean, half = float(np.mean(values)), float(_half_width(np.array(values)[:, None])[0])
    return mean - half, mean + half


def rank_tests(results: Mapping[str, Sequence[float]]) -> list[RankTest]:
    """Every pair of strategies; `results` are those of the seeds, by strategy."""
    pairs = list(itertools.combinations(results, 2))
    tests = [stats.mannwhitneyu(results[a], results[b], alternative="two-sided") for a, b in pairs]
    corrected = holm([float(test.pvalue) for test in tests])
    found = []
    for (a, b), test, corrected_p in zip(pairs, tests, corrected, strict=True):
        superiority = float(test.statistic) / (len(results[a]) * len(results[b]))
        if superiority < 0.5:
            a, b, superiority = b, a, 1 - superiority
        difference = float(np.mean(results[a]) - np.mean(results[b]))
        found.append(RankTest(a, b, superiority, difference, float(test.pvalue), corrected_p))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value times the number of hypotheses that are no smaller, never falling, 1 at most.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min((len(p_values) - rank) * p_values[index], 1.0))
        corrected[index] = highest
    return corrected


def _results_at(outcome: Outcome, seconds_T: Array) -> Array:
    times = [improvement.time for improvement in outcome.run.trajectory]
    results = np.array([improvement.result for improvement in outcome.run.trajectory])
    reached: Array = results[np.searchsorted(times, seconds_T, side="right") - 1]
    return reached


def _half_width(values_ST: Array) -> Array:
    count = len(values_ST)
    if count == 1:
        return np.zeros(values_ST.shape[1])
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)
    half: Array = quantile * values_ST.std(axis=0, ddof=1) / np.sqrt(count)
    return half
