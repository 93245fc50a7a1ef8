"""The report of a benchmark, as a document, and its runs as Parquet."""

from raynas.tabular.report.baselines import with_baselines
from raynas.tabular.report.study import Study
from raynas.tabular.report.write import write_report

__all__ = ["Study", "with_baselines", "write_report"]
