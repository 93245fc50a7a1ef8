"""A benchmark in one call: strategies compared on a table, as `raynas benchmark` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raynas.cells.space import SPACES, SearchSpace
from raynas.config import nested, suggests_arguments
from raynas.programs.benchmark.benchmark import BenchmarkSetting
from raynas.programs.benchmark.benchmark import benchmark as run_benchmark
from raynas.programs.benchmark.config import Columns
from raynas.programs.benchmark.contender import contenders_of, space_of
from raynas.programs.benchmark.read import read_table
from raynas.programs.benchmark.simulate import EqualCellsPolicy
from raynas.programs.benchmark.summary import StrategySummary, summarise
from raynas.strategies.strategy import STRATEGIES, Strategy

DEFAULT_STRATEGIES = ("ppo", "reinforce", "random", "evolution", "local_search")


@suggests_arguments
def benchmark(
    table: str | Path,
    *,
    space: str | type[SearchSpace],
    signal: str,
    result: str,
    cost: str,
    budget: float | Sequence[float],
    arch_column: str = "arch",
    cost_scale: float = 1.0,
    strategies: Sequence[str | type[Strategy]] = DEFAULT_STRATEGIES,
    seeds: int = 50,
    first_seed: int = 0,
    workers: int = 1,
    equal_cells: EqualCellsPolicy = "retrain",
    processes: int | None = 1,
    settings: Mapping[str, Any] | None = None,
) -> list[StrategySummary]:
    """Compares strategies on a table of trained architectures; `raynas benchmark` as a function.

        found = raynas.benchmark("nb201.parquet", space="nasbench201", signal="valid", result="test",
                                 cost="seconds", budget=20_000, strategies=["ppo", "random"])
        pandas.DataFrame([summary.model_dump() for summary in found])

    Args:
        table: Parquet or CSV file with one trained architecture per row.
        space: search space of the table: a name, 'package.module:ClassName' or a class.
        signal, result, cost, arch_column, cost_scale: the columns, as in `raynas.programs.benchmark.Columns`.
        budget: simulated seconds of each search; of several, each is looked at.
        strategies: names, or classes; 'LABEL=NAME' lists one a second time, with other options.
        seeds: number of seeds of each strategy, from `first_seed` on.
        workers: number of simulated workers.
        equal_cells: what a repeated cell costs: its time again ('retrain') or nothing ('reuse').
        processes: number of real processes; None means one per CPU. With more than one, a script must guard
            its call by `if __name__ == "__main__"`, and classes must lie in a module.
        settings: options of strategies by label, and of the space: {"evolution.population": 20,
            "space.num_blocks": 3}.
    Returns:
        A summary per budget and strategy, by rising budget.
    Raises:
        UsageError: an argument, the table or a strategy can't be used.
        SearchFailed: no child of a search was in the table.
    """
    options = nested(settings or {})
    columns = Columns(arch_column=arch_column, signal=signal, result=result, cost=cost, cost_scale=cost_scale)
    budgets = sorted({float(budget)} if isinstance(budget, int | float) else set(map(float, budget)))
    seed_results = run_benchmark(
        contenders_of([str(STRATEGIES.name_of(strategy)) for strategy in strategies], options),
        read_table(Path(table), space_of(str(SPACES.name_of(space)), options), columns),
        BenchmarkSetting(
            budgets[-1], workers=workers, equal_cells=equal_cells, smaller_budgets=tuple(budgets[:-1])
        ),
        seeds=range(first_seed, first_seed + seeds),
        processes=processes,
    )
    return summarise(seed_results)
