"""Writes the folder of a benchmark's report: the document, and every run and improvement as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raynas.programs.benchmark.benchmark import SeedResult
from raynas.programs.benchmark.report.circumstances import environment_facts, sha256_of
from raynas.programs.benchmark.report.findings import findings_of
from raynas.programs.benchmark.report.sections import document_of
from raynas.programs.benchmark.report.study import Study
from raynas.programs.report.folder import remove_report, write_report

TABLES = ("runs", "trajectories")


def write_benchmark_report(folder: Path, study: Study) -> list[Path]:
    """Writes the report into a folder made by `new_folder`, or in place of an earlier one of a resumed study.

    Returns:
        The files for the user to open, the HTML first.
    """
    findings = findings_of(study)
    facts = {"SHA-256 of the table": sha256_of(study.recipe.table), **environment_facts()}
    document = document_of(study, findings, facts)
    metadata = {"raynas": json.dumps({"title": document.title, "command": study.command, **facts})}
    rows = (_runs(findings.all_seed_results), _trajectories(findings.all_seed_results))
    tables = {
        name: pa.Table.from_pylist(those).replace_schema_metadata(metadata)
        for name, those in zip(TABLES, rows, strict=True)
    }
    if study.num_resumed:
        remove_report(folder, TABLES)
    return write_report(folder, document, tables)


def _runs(seed_results: Sequence[SeedResult]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": seed_result.label,
            "seed": seed_result.seed,
            "result": seed_result.best.result,
            "signal": seed_result.best.signal,
            "architecture": seed_result.best.name,
            "found_at_second": seed_result.best.time,
            "children": seed_result.run.num_children,
            "distinct": seed_result.run.num_distinct,
            "reused": seed_result.run.num_reused,
            "absent": seed_result.run.num_absent,
            "is_exhausted": seed_result.run.is_exhausted,
            "simulated_seconds": seed_result.run.seconds,
            "cpu_seconds": seed_result.seconds,
        }
        for seed_result in seed_results
    ]


def _trajectories(seed_results: Sequence[SeedResult]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": seed_result.label,
            "seed": seed_result.seed,
            "second": best.time,
            "child": best.child,
            "signal": best.signal,
            "result": best.result,
            "architecture": best.name,
        }
        for seed_result in seed_results
        for best in seed_result.run.trajectory
    ]
