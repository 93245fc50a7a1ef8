"""A run's children as an Arrow table, for Parquet: everything that the journal has of each."""

from __future__ import annotations

import pyarrow as pa

from raynas.config import without_credentials
from raynas.programs.report.run.history import log_prob, policy_version
from raynas.run.recorded import RecordedRun
from raynas.run.records import ChildRecord

SCHEMA = pa.schema(
    [
        ("child", pa.int64()),
        ("arch_id", pa.string()),
        ("status", pa.string()),
        ("accuracy", pa.float64()),
        ("reward", pa.float64()),
        ("parameters", pa.int64()),
        ("mult_adds", pa.int64()),
        ("activations", pa.int64()),
        ("latency_ms", pa.float64()),
        ("on_front", pa.bool_()),
        ("epochs", pa.int64()),
        ("accuracy_by_epoch", pa.list_(pa.float64())),
        ("train_loss_by_epoch", pa.list_(pa.float64())),
        ("seconds", pa.float64()),
        ("proposed_at", pa.timestamp("us", tz="UTC")),
        ("finished_at", pa.timestamp("us", tz="UTC")),
        ("policy_version", pa.int64()),
        ("log_prob", pa.float64()),
        ("reused_from", pa.int64()),
        ("actions", pa.list_(pa.int64())),
        ("reason", pa.string()),
    ]
)
"""Accuracies are fractions; log_prob is of the whole architecture, in nats, under the policy that drew it."""


def children_table(run: RecordedRun) -> pa.Table:
    """A row per child in the order of proposal, infeasible and unfinished ones too."""
    rows = [_row(record) | {"on_front": _is_on_front(run, record)} for record in run.records.values()]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _is_on_front(run: RecordedRun, record: ChildRecord) -> bool | None:
    """Whether no other child is better in accuracy and cost. None means that the run keeps no front."""
    if run.front is None or run.trade is None:
        return None
    point = run.trade.point(record.outcome) if record.outcome is not None else None
    return point is not None and point in run.front


def _row(record: ChildRecord) -> dict[str, object]:
    proposed, result, finished = record.proposed, record.result, record.finished
    row: dict[str, object] = {
        "child": record.id,
        "arch_id": proposed.arch_id,
        "status": result.status if result else "unfinished",
        "reward": record.reward,
        "parameters": _whole(proposed.parameters),
        "mult_adds": _whole(proposed.mult_adds),
        "activations": _whole(proposed.activations),
        "proposed_at": _microseconds(proposed.time),
        "policy_version": _whole(policy_version(record)),
        "log_prob": log_prob(record),
        "actions": [_whole(action) for action in proposed.actions],
    }
    if result is not None and finished is not None:
        row |= {
            "accuracy": result.accuracy,
            "latency_ms": result.latency_ms,
            "epochs": len(result.curve),
            "accuracy_by_epoch": [report.accuracy for report in result.curve],
            "train_loss_by_epoch": [report.train_loss for report in result.curve],
            "seconds": result.seconds,
            "finished_at": _microseconds(finished.time),
            "reused_from": _whole(finished.reused_from),
            "reason": _printable(without_credentials(result.reason)) or None,
        }
    return row


def _whole(value: int | None) -> int | None:
    """`value`, or None if a column of 64 bits can't hold it."""
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _printable(text: str) -> str:
    """`text` with question marks for lone surrogates, which UTF-8 can't encode."""
    return text.encode(errors="replace").decode()
