"""Everything that a benchmark's report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raynas.programs.benchmark.benchmark import BenchmarkSetting, SeedResult
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.table import ArchTable


@dataclass(frozen=True, slots=True)
class Study:
    """A finished benchmark."""

    recipe: BenchmarkRecipe
    table: ArchTable
    setting: BenchmarkSetting
    contenders: Sequence[Contender]
    seeds: Sequence[int]
    seed_results: Sequence[SeedResult]
    """Results of all contenders and seeds."""
    wall_seconds: float
    """Wall-clock seconds from the start of the first run to the end of the last."""
    processes: int
    """Number of processes that simulated the runs."""
    command: str
    """The command line, as typed."""
    num_resumed: int = 0
    """Number of runs that were finished before the benchmark was resumed; the wall-clock time lacks them."""

    def of(self, label: str) -> list[SeedResult]:
        """The results of one contender."""
        return [seed_result for seed_result in self.seed_results if seed_result.label == label]
