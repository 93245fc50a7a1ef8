"""What the MLflow run of a search says at its end: the best cells in words, and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from raynas.config import validated, without_credentials
from raynas.programs.report.html import to_html
from raynas.programs.report.markdown import escaped
from raynas.programs.report.run.report import run_report
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.open_run import search_page
from raynas.run.leaderboard import LeaderboardEntry
from raynas.run.recorded import RecordedRun
from raynas.tracking.run_page import DESCRIPTION_TAG, ShownData, annotate

NUM_NAMED = 5
"""Number of the best children in the description."""


def write_overview(folder: Path, commands: Sequence[str] = ()) -> None:
    """Describes the run in `folder` on its MLflow run, and puts its report there; again replaces both.

    Args:
        commands: what the reader may type next.
    Raises:
        UsageError: the journal or the store can't be read, or the store can't be written.
    """
    recorded = RecordedRun.read(folder)
    tags = {DESCRIPTION_TAG: description(recorded, commands)}
    add_to_mlflow(recorded, artifacts={"report.html": to_html(run_report(recorded))}, tags=tags)


def add_to_mlflow(
    recorded: RecordedRun, *, artifacts: Mapping[str, str], tags: Mapping[str, str] | None = None
) -> None:
    """Adds to the run's own MLflow run, if it has one; errors as in `write_overview`."""
    config = validated(SearchConfig, recorded.config)
    if not config.tracking.enabled:
        return
    page = search_page(recorded.folder, recorded.started, config)
    digest = recorded.started.images
    data = ShownData(without_credentials(config.data.source), digest) if digest else None
    annotate(page, tags=tags or {}, artifacts=artifacts, data=data)


def description(recorded: RecordedRun, commands: Sequence[str]) -> str:
    """Markdown: the best cell, the best five, and what to type next."""
    scored = [entry for entry in recorded.entries if entry.reward is not None]
    if not scored:
        return "No child has a score yet."
    best = scored[0]
    lines = [f"**Best cell: {best.arch_id}** (child {best.child}), validation accuracy {_number(best)}", ""]
    lines += ["| rank | accuracy | arch_id | child | parameters |", "| ---: | ---: | --- | ---: | ---: |"]
    for rank, entry in enumerate(scored[:NUM_NAMED], start=1):
        size = "-" if entry.parameters is None else f"{entry.parameters:,}"
        cells = (str(rank), _number(entry), escaped(entry.arch_id), str(entry.child), size)
        lines.append(f"| {' | '.join(cells)} |")
    if commands:
        lines += ["", "Next:", "", "```", *commands, "```"]
    return "\n".join(lines)


def _number(entry: LeaderboardEntry) -> str:
    return "-" if entry.accuracy is None else f"{entry.accuracy:.4f}"
