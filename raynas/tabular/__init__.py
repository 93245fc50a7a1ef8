"""Strategies judged on a table: children are looked up instead of trained, on a simulated clock.

    table = read_table(Path("nasbench201.parquet"), make_space("nasbench201"), columns)
    run = simulate(make_strategy("evolution", table.space, seed=0), table, budget=20_000)
    outcomes = benchmark([Contender("ppo"), Contender("random")], table, Setting(20_000), seeds=range(500))

Neither Ray nor MLflow, and torch only where a strategy takes it.
"""

from raynas.tabular.benchmark import Outcome, Setting, benchmark
from raynas.tabular.config import Columns
from raynas.tabular.contender import Contender, parse_contender
from raynas.tabular.read import read_table
from raynas.tabular.simulate import Improvement, SimulatedRun, simulate
from raynas.tabular.summary import Summary, summarise
from raynas.tabular.table import Row, Table

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
