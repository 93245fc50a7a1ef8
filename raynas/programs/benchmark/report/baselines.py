"""The baselines of every report: random search, and one architecture drawn at random.

Lindauer & Hutter 2020, "Best Practices for Scientific Research on Neural Architecture Search" (JMLR 21, 243),
practice 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raynas.errors import UsageError
from raynas.programs.benchmark.benchmark import BenchmarkSetting, SeedResult, benchmark
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.table import ArchTable

ONE_DRAW = Contender("random", label="one_draw")
"""Random sampling: the first architecture drawn is the result."""


def with_baselines(contenders: Sequence[Contender]) -> list[Contender]:
    """The contenders, with random search added if it isn't among them.

    Raises:
        UsageError: a contender has the label that is reserved for random sampling.
    """
    if any(contender.label == ONE_DRAW.label for contender in contenders):
        raise UsageError(f"{ONE_DRAW.label!r} is what a report calls random sampling: choose another label.")
    has_random = any(contender.strategy == "random" for contender in contenders)
    return [*contenders, *([] if has_random else [Contender("random")])]


def one_draw(table: ArchTable, setting: BenchmarkSetting, seeds: Sequence[int]) -> list[SeedResult]:
    """Random sampling: the search of each seed ends with its first architecture."""
    return benchmark(
        [ONE_DRAW], table, replace(setting, children=1, workers=1, smaller_budgets=()), seeds=seeds
    )
