"""Many seeds in one line: mean and standard deviation of what the strategies found. Pure Python."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from raynas.config import FrozenModel
from raynas.programs.benchmark.benchmark import Outcome


class Summary(FrozenModel):
    """One strategy, over its seeds."""

    strategy: str
    mean: float
    """Of the result of the best child by signal; a fraction, as all accuracies here."""
    std: float
    """Over seeds, with n - 1; 0 for a single seed."""
    n: int
    """Seeds."""
    children: float
    """Mean number of children that finished within the budget."""
    median: float
    best_signal: float
    """Mean of the signal of the best child."""
    distinct: float
    """Mean number of architectures among the children."""
    exhausted: int
    """Runs that ended early, since the strategy proposed nothing new."""
    seconds: float
    """Mean processor time of one run."""


def summarise(outcomes: Iterable[Outcome]) -> list[Summary]:
    """A line for each strategy, in the order in which they come."""
    by_label: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_label.setdefault(outcome.label, []).append(outcome)
    return [_summary(label, group) for label, group in by_label.items()]


def _summary(label: str, outcomes: Sequence[Outcome]) -> Summary:
    found = [outcome.best for outcome in outcomes]
    results = [best.result for best in found]
    return Summary(
        strategy=label,
        mean=statistics.fmean(results),
        std=statistics.stdev(results) if len(results) > 1 else 0.0,
        n=len(results),
        children=statistics.fmean(outcome.run.num_children for outcome in outcomes),
        median=statistics.median(results),
        best_signal=statistics.fmean(best.signal for best in found),
        distinct=statistics.fmean(outcome.run.num_distinct for outcome in outcomes),
        exhausted=sum(outcome.run.is_exhausted for outcome in outcomes),
        seconds=statistics.fmean(outcome.seconds for outcome in outcomes),
    )
