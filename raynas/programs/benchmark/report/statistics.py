"""Statistics over many runs: mean regret over time with its confidence, and rank tests of pairs."""

# Shapes: S seeds, T points in time.

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raynas.programs.benchmark.benchmark import SeedResult

FloatArray = NDArray[np.floating[Any]]
CONFIDENCE = 0.95
"""Level of every confidence interval."""
NUM_POINTS = 200
"""Points in time of a regret curve."""


@dataclass(frozen=True, slots=True, eq=False)
class RegretCurve:
    """Regret over time: the table's best result minus that of the best child by signal so far."""

    seconds_T: FloatArray
    """Simulated seconds, starting when every seed has a finished child."""
    mean_T: FloatArray
    """Mean over seeds."""
    low_T: FloatArray
    """Lower end of the mean's confidence interval."""
    high_T: FloatArray
    """Upper end of the mean's confidence interval."""


@dataclass(frozen=True, slots=True)
class RankTest:
    """Two strategies compared: Mann-Whitney's U test, two-sided (Mann & Whitney 1947)."""

    better: str
    """Label of the strategy that wins more often."""
    other: str
    superiority: float
    """Probability that a run of `better` ends with the higher result; a tie counts half."""
    difference: float
    """Difference of the mean results."""
    p: float
    corrected_p: float
    """p corrected for the number of comparisons (Holm 1979)."""


def regret_curve(seed_results: Sequence[SeedResult], *, best_result: float, budget: float) -> RegretCurve:
    """Mean regret over seeds, with a confidence interval from Student's t distribution."""
    begin = max(seed_result.run.trajectory[0].time for seed_result in seed_results)
    seconds_T = np.geomspace(begin, budget, NUM_POINTS)
    # geomspace may round its ends: a first point before the slowest seed's first child would have no value.
    seconds_T[[0, -1]] = begin, budget
    regret_ST = best_result - np.stack([_results_at(seed_result, seconds_T) for seed_result in seed_results])
    mean_T = regret_ST.mean(axis=0)
    half_T = _half_width(regret_ST)
    return RegretCurve(seconds_T, mean_T, mean_T - half_T, mean_T + half_T)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Confidence interval (low, high) of the mean; for a single value, that value twice."""
    mean, half = float(np.mean(values)), float(_half_width(np.array(values)[:, None])[0])
    return mean - half, mean + half


def rank_tests(results: Mapping[str, Sequence[float]]) -> list[RankTest]:
    """Tests every pair of strategies; `results` are the results of the seeds by strategy."""
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
    """Holm's correction of p-values for multiple tests.

    In ascending order, the i-th of m p-values (from 0) is multiplied by m - i; then each is raised to the
    largest before it, and cut off at 1.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min((len(p_values) - rank) * p_values[index], 1.0))
        corrected[index] = highest
    return corrected


def _results_at(seed_result: SeedResult, seconds_T: FloatArray) -> FloatArray:
    times = [improvement.time for improvement in seed_result.run.trajectory]
    results = np.array([improvement.result for improvement in seed_result.run.trajectory])
    reached: FloatArray = results[np.searchsorted(times, seconds_T, side="right") - 1]
    return reached


def _half_width(values_ST: FloatArray) -> FloatArray:
    count = len(values_ST)
    if count == 1:
        return np.zeros(values_ST.shape[1])
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)
    half: FloatArray = quantile * values_ST.std(axis=0, ddof=1) / np.sqrt(count)
    return half
