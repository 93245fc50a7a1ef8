"""Compares strategies on a table: children are looked up instead of trained, on a simulated clock.

    table = read_table(Path("nasbench201.parquet"), make_space("nasbench201"), columns)
    run = simulate(make_strategy("evolution", table.space, seed=0), table, budget=20_000)
    contenders = [Contender("ppo"), Contender("random")]
    seed_results = benchmark(contenders, table, BenchmarkSetting(20_000), seeds=range(500))

Needs neither Ray nor MLflow, and torch only for the strategies that use it.
"""

from raynas.programs.benchmark.benchmark import BenchmarkSetting, SeedResult, benchmark
from raynas.programs.benchmark.config import Columns
from raynas.programs.benchmark.contender import Contender, parse_contender
from raynas.programs.benchmark.read import read_table
from raynas.programs.benchmark.simulate import Improvement, SimulatedRun, simulate
from raynas.programs.benchmark.summary import StrategySummary, summarise
from raynas.programs.benchmark.table import ArchTable, Row

__all__ = [
    "ArchTable",
    "BenchmarkSetting",
    "Columns",
    "Contender",
    "Improvement",
    "Row",
    "SeedResult",
    "SimulatedRun",
    "StrategySummary",
    "benchmark",
    "parse_contender",
    "read_table",
    "simulate",
    "summarise",
]
