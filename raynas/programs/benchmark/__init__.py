"""Strategies judged on a table: children are looked up instead of trained, on a simulated clock.

    table = read_table(Path("nasbench201.parquet"), make_space("nasbench201"), columns)
    run = simulate(make_strategy("evolution", table.space, seed=0), table, budget=20_000)
    outcomes = benchmark([Contender("ppo"), Contender("random")], table, Setting(20_000), seeds=range(500))

Neither Ray nor MLflow, and torch only where a strategy takes it.
"""

from raynas.programs.benchmark.benchmark import Outcome, Setting, benchmark
from raynas.programs.benchmark.config import Columns
from raynas.programs.benchmark.contender import Contender, parse_contender
from raynas.programs.benchmark.read import read_table
from raynas.programs.benchmark.simulate import Improvement, SimulatedRun, simulate
from raynas.programs.benchmark.summary import Summary, summarise
from raynas.programs.benchmark.table import Row, Table

__all__ = [
    "Columns",
    "Contender",
    "Improvement",
    "Outcome",
    "Row",
    "Setting",
    "SimulatedRun",
    "Summary",
    "Table",
    "benchmark",
    "parse_contender",
    "read_table",
    "simulate",
    "summarise",
]
