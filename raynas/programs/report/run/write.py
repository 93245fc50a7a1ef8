"""Writes the report of a run into a folder."""

from __future__ import annotations

from pathlib import Path

from raynas.config import suggests_arguments
from raynas.programs.report.folder import new_folder, write_report
from raynas.programs.report.run.children import children_table
from raynas.programs.report.run.report import run_report
from raynas.run.folder import find_run
from raynas.run.recorded import RecordedRun


@suggests_arguments
def report(run: str | Path | None = None, *, out: str | Path | None = None) -> list[Path]:
    """Writes a report on a run, finished or not; `raynas report` as a function.

    Args:
        run: folder of a search or promotion; defaults to the newest run.
        out: a folder that is new or empty; defaults to report/ in the folder of the run.
    Returns:
        Paths of the HTML file, the Markdown file and the children as a Parquet file.
    Raises:
        UsageError: there is no such run, or the folder can't be written or is not empty.
    """
    found = RecordedRun.read(find_run(Path(run) if run is not None else None))
    target = Path(out) if out is not None else found.folder / "report"
    new_folder(target)
    return write_report(target, run_report(found), {"children": children_table(found)})
