"""The report's folder: report.md, report.html, two pictures, and every run as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raynas.errors import UsageError
from raynas.tabular.benchmark import Outcome
from raynas.tabular.report.circumstances import circumstances, sha256_of
from raynas.tabular.report.content import Picture
from raynas.tabular.report.findings import findings_of
from raynas.tabular.report.html import html
from raynas.tabular.report.markdown import markdown
from raynas.tabular.report.sections import sections_of, title_of
from raynas.tabular.report.study import Study


def check_new(folder: Path) -> None:
    """Makes `folder`; UsageError if there is anything in it, for nothing is overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"The report can't be written to {folder}: {error.strerror}.") from error
    if not is_empty:
        raise UsageError(f"{folder} is not empty. Give --report a new folder; nothing is overwritten.")


def write_report(folder: Path, study: Study) -> None:
    """All of the report; `folder` has been checked."""
    findings = findings_of(study)
    facts = {"SHA-256 of the table": sha256_of(study.recipe.table), **circumstances()}
    title, sections = title_of(study), sections_of(study, findings, facts)
    (folder / "report.md").write_text(markdown(title, sections), encoding="utf-8")
    (folder / "report.html").write_text(html(title, sections), encoding="utf-8")
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Picture):
                (folder / f"{block.name}.svg").write_bytes(block.svg)
    metadata = {"raynas": json.dumps({"title": title, "command": study.command, **facts})}
    _write_parquet(folder / "runs.parquet", _runs(findings.all_outcomes), metadata)
    _write_parquet(folder / "trajectories.parquet", _trajectories(findings.all_outcomes), metadata)


def _runs(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": outcome.label,
            "seed": outcome.seed,
            "result": outcome.best.result,
            "signal": outcome.best.signal,
            "architecture": outcome.best.name,
            "found_at_second": outcome.best.time,
            "children": outcome.run.num_children,
            "distinct": outcome.run.num_distinct,
            "reused": outcome.run.num_reused,
            "absent": outcome.run.num_absent,
            "is_exhausted": outcome.run.is_exhausted,
            "simulated_seconds": outcome.run.seconds,
            "cpu_seconds": outcome.seconds,
        }
        for outcome in outcomes
    ]


def _trajectories(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": outcome.label,
            "seed": outcome.seed,
            "second": best.time,
            "child": best.child,
            "signal": best.signal,
            "result": best.result,
            "architecture": best.name,
        }
        for outcome in outcomes
        for best in outcome.run.trajectory
    ]


def _write_parquet(path: Path, rows: list[dict[str, Any]], metadata: dict[str, str]) -> None:
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), path)
