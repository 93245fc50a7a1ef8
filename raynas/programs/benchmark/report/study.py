"""All that a report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raynas.programs.benchmark.benchmark import Outcome, Setting
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.table import Table


@dataclass(frozen=True, slots=True)
class Study:
    """A benchmark that has been run."""

    recipe: BenchmarkRecipe
    table: Table
    setting: Setting
    contenders: Sequence[Contender]
    seeds: Sequence[int]
    outcomes: Sequence[Outcome]
    """Of all contenders and seeds."""
    wall_seconds: float
    """From the first run to the last, all processes together."""
    processes: int
    command: str
    """What was typed."""

    def of(self, label: str) -> list[Outcome]:
        """The outcomes of one contender."""
        return [outcome for outcome in self.outcomes if outcome.label == label]
