"""A run's children, best first: a view of the journal as a table, JSON, CSV or Markdown. Pure Python."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable, Iterable
from typing import Literal

from raynas.config import FrozenModel
from raynas.records import ChildRecord

Format = Literal["table", "json", "csv", "md"]


class LeaderboardEntry(FrozenModel):
    """One child's line."""

    arch_id: str
    child: int
    status: Literal["completed", "stopped", "failed", "interrupted", "unfinished"]
    """'interrupted' is unfinished too: its driver said so as it ended; a resume trains it again."""
    accuracy: float | None
    reward: float | None
    parameters: int | None
    mult_adds: int | None
    activations: int | None
    seconds: float | None
    epochs: int
    reused_from: int | None = None
    """The child whose score it is, of the same architecture; None: no other of this run."""
    memo_run: str | None = None
    """The folder of the other run whose score it is; None: of none."""
    memo_child: int | None = None
    """And the child in it."""
    reason: str

    @property
    def is_reused(self) -> bool:
        return self.reused_from is not None or self.memo_run is not None


def leaderboard(records: Iterable[ChildRecord]) -> list[LeaderboardEntry]:
    """Entries by reward, then fewer parameters; children without a reward come last, infeasible ones are
    left out.
    """
    return sorted((_entry(record) for record in records if not record.is_infeasible), key=_rank)


class ArchitectureEntry(FrozenModel):
    """One architecture that was trained several times."""

    arch_id: str
    trainings: int
    """Those with a score."""
    mean: float
    """Of their accuracies."""
    standard_deviation: float
    """Between them, of the sample; 0 for a single one."""


def by_architecture(entries: Iterable[LeaderboardEntry]) -> list[ArchitectureEntry]:
    """Mean accuracy of each architecture over its trainings, best first."""
    accuracies: dict[str, list[float]] = {}
    for entry in entries:
        if entry.accuracy is not None and not entry.is_reused:
            accuracies.setdefault(entry.arch_id, []).append(entry.accuracy)
    rows = [
        ArchitectureEntry(
            arch_id=arch_id,
            trainings=len(values),
            mean=statistics.fmean(values),
            standard_deviation=statistics.stdev(values) if len(values) > 1 else 0.0,
        )
        for arch_id, values in accuracies.items()
    ]
    return sorted(rows, key=lambda row: (-row.mean, row.arch_id))


def render(entries: list[LeaderboardEntry], format: Literal["json", "csv", "md"]) -> str:
    """The entries as text, without a trailing newline."""
    return _RENDERERS[format](entries)


def _entry(record: ChildRecord) -> LeaderboardEntry:
    result, proposed = record.result, record.proposed
    memo = record.finished.memo if record.finished else None
    return LeaderboardEntry(
        arch_id=proposed.arch_id,
        child=record.id,
        status=result.status if result else "interrupted" if record.is_interrupted else "unfinished",
        accuracy=result.accuracy if result else None,
        reward=record.reward,
        parameters=proposed.parameters,
        mult_adds=proposed.mult_adds,
        activations=proposed.activations,
        seconds=round(result.seconds, 3) if result else None,
        epochs=len(result.curve) if result else 0,
        reused_from=record.finished.reused_from if record.finished else None,
        memo_run=memo.folder if memo else None,
        memo_child=memo.child if memo else None,
        reason=result.reason if result else "",
    )


def _rank(entry: LeaderboardEntry) -> tuple[float, float, int]:
    return (math.inf if entry.reward is None else -entry.reward, entry.parameters or math.inf, entry.child)


def _json(entries: list[LeaderboardEntry]) -> str:
    return json.dumps([entry.model_dump() for entry in entries], indent=2)


def _csv(entries: list[LeaderboardEntry]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(LeaderboardEntry.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(entry.model_dump() for entry in entries)
    return text.getvalue().rstrip("\n")


def _markdown(entries: list[LeaderboardEntry]) -> str:
    columns = list(LeaderboardEntry.model_fields)
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for entry in entries:
        cells = [
            "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
            for value in entry.model_dump().values()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


_RENDERERS: dict[str, Callable[[list[LeaderboardEntry]], str]] = {"json": _json, "csv": _csv, "md": _markdown}
