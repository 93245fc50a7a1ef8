"""What every strategy has to beat: random search, and one architecture drawn at random.

Lindauer & Hutter 2020, "Best Practices for Scientific Research on Neural Architecture Search" (JMLR 21, 243),
practice 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raynas.errors import UsageError
from raynas.programs.benchmark.benchmark import Outcome, Setting, benchmark
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.table import Table

ONE_DRAW = Contender("random", label="one_draw")
"""Random sampling: an architecture is drawn and taken."""


def with_baselines(contenders: Sequence[Contender]) -> list[Contender]:
    """The contenders, and random search if it isn't among them.

    Raises:
        UsageError: one of them is called as random sampling is.
    """
    if any(contender.label == ONE_DRAW.label for contender in contenders):
        raise UsageError(f"{ONE_DRAW.label!r} is what a report calls random sampling: take another label.")
    has_random = any(contender.strategy == "random" for contender in contenders)
    return [*contenders, *([] if has_random else [Contender("random")])]


def one_draw(table: Table, setting: Setting, seeds: Sequence[int]) -> list[Outcome]:
    """The architecture that each seed draws first."""
    return benchmark([ONE_DRAW], table, replace(setting, children=1, workers=1), seeds=seeds)
