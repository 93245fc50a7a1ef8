"""The report of a benchmark: one content, written as Markdown, as HTML with pictures, and as Parquet."""

from raynas.tabular.report.baselines import with_baselines
from raynas.tabular.report.study import Study
from raynas.tabular.report.write import check_new, write_report

__all__ = ["Study", "check_new", "with_baselines", "write_report"]
