"""The report's folder: the document, every run and every improvement as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raynas.programs.benchmark.benchmark import Outcome
from raynas.programs.benchmark.report.circumstances import circumstances, sha256_of
from raynas.programs.benchmark.report.findings import findings_of
from raynas.programs.benchmark.report.sections import document_of
from raynas.programs.benchmark.report.study import Study
from raynas.programs.report import folder as report_folder


def write_report(folder: Path, study: Study) -> list[Path]:
    """All of the report into a folder of `new_folder`; returns the files to be opened, the HTML first."""
    findings = findings_of(study)
    facts = {"SHA-256 of the table": sha256_of(study.recipe.table), **circumstances()}
    document = document_of(study, findings, facts)
    metadata = {"raynas": json.dumps({"title": document.title, "command": study.command, **facts})}
    rows = {"runs": _runs(findings.all_outcomes), "trajectories": _trajectories(findings.all_outcomes)}
    tables = {
        name: pa.Table.from_pylist(those).replace_schema_metadata(metadata) for name, those in rows.items()
    }
    return report_folder.write_report(folder, document, tables)


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
