"""The report of a benchmark: a document, and all runs as Parquet."""

from raynas.programs.benchmark.report.baselines import with_baselines
from raynas.programs.benchmark.report.study import Study
from raynas.programs.benchmark.report.write import write_benchmark_report

__all__ = ["Study", "with_baselines", "write_benchmark_report"]
