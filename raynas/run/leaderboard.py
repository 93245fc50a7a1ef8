"""A run's children, best first: a view of the journal as a table, JSON, CSV or Markdown. Pure Python."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from raynas.config import FrozenModel
from raynas.run.html_table import html_table
from raynas.run.records import ChildRecord
from raynas.strategies.rewards.front import Front
from raynas.strategies.rewards.pareto import ParetoConfig, front_of

FileFormat = Literal["json", "csv", "md"]
PrintFormat = Literal["table", "json", "csv", "md"]


class LeaderboardEntry(FrozenModel):
    """The line of one child."""

    arch_id: str
    child: int
    status: Literal["completed", "stopped", "failed", "interrupted", "unfinished"]
    """'interrupted' is unfinished too: its driver wrote so as it ended, and a resume trains it again."""
    accuracy: float | None
    reward: float | None
    parameters: int | None
    mult_adds: int | None
    activations: int | None
    latency_ms: float | None = None
    """Milliseconds of a forward pass. None means that it was not measured."""
    on_front: bool | None = None
    """Whether no child is better in accuracy and cost. None means that the run's reward keeps no front."""
    seconds: float | None
    epochs: int
    reused_from: int | None = None
    """Another child of this run, of the same architecture, whose score this is."""
    memo_run: str | None = None
    """Folder of another run whose score this is."""
    memo_child: int | None = None
    """The child of that run whose score this is."""
    reason: str

    @property
    def is_reused(self) -> bool:
        """Whether the score is that of another child, of this run or of another."""
        return self.reused_from is not None or self.memo_run is not None


class Leaderboard(list[LeaderboardEntry]):
    """The entries of a run's children, best first. A notebook shows the first of them as a table."""

    def _repr_html_(self) -> str:
        return self.to_html(top=20)

    def to_html(self, *, top: int) -> str:
        """The best `top` entries as a table, with the number of the others below it."""
        rows = [(rank, *_row(entry)) for rank, entry in enumerate(self[:top], start=1)]
        more = len(self) - top
        columns = ("rank", "arch_id", "child", "status", "accuracy", "parameters", "mult-adds", "seconds")
        return html_table(columns, rows, note=f"and {more:,} more" if more > 0 else "")


def _row(entry: LeaderboardEntry) -> tuple[object, ...]:
    accuracy = None if entry.accuracy is None else f"{entry.accuracy:.4f}"
    seconds = None if entry.seconds is None else f"{entry.seconds:.1f}"
    return (entry.arch_id, entry.child, entry.status, accuracy, entry.parameters, entry.mult_adds, seconds)


def leaderboard(records: Iterable[ChildRecord], *, trade: ParetoConfig | None = None) -> Leaderboard:
    """Entries by reward, then by fewer parameters. Children without a reward come last, infeasible ones are
    left out.

    Args:
        trade: What the reward trades, if it keeps a front. The children on the front then come first, by
            accuracy, and the others by their distance to it. Their rewards don't rank them: each was given
            against the front of its moment.
    """
    chosen = [record for record in records if not record.is_infeasible]
    if trade is None:
        return Leaderboard(sorted(map(_entry, chosen), key=_rank))
    return _by_front(chosen, trade, final_front(chosen, trade))


def final_front(records: Iterable[ChildRecord], trade: ParetoConfig) -> Front:
    """The front of all children that have ended."""
    return front_of((record.outcome for record in records if record.outcome is not None), trade)


class ArchitectureEntry(FrozenModel):
    """One architecture that was trained several times."""

    arch_id: str
    trainings: int
    """Number of trainings with a score."""
    mean: float
    """Mean of their accuracies."""
    standard_deviation: float
    """Standard deviation of their accuracies, of the sample; 0 for a single training."""


def by_architecture(entries: Iterable[LeaderboardEntry]) -> list[ArchitectureEntry]:
    """Mean accuracy of each architecture over its trainings, best first."""
    accuracies: dict[str, list[float]] = {}
    for entry in entries:
        # A score that was reused is no training of its own, and would make the deviation too small.
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


def render(entries: list[LeaderboardEntry], format: FileFormat) -> str:
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
        latency_ms=round(result.latency_ms, 4) if result and result.latency_ms is not None else None,
        seconds=round(result.seconds, 3) if result else None,
        epochs=len(result.curve) if result else 0,
        reused_from=record.finished.reused_from if record.finished else None,
        memo_run=memo.folder if memo else None,
        memo_child=memo.child if memo else None,
        reason=result.reason if result else "",
    )


def _by_front(records: Sequence[ChildRecord], trade: ParetoConfig, front: Front) -> Leaderboard:
    distances, entries = {}, []
    for record in records:
        entry, outcome = _entry(record), record.outcome
        point = trade.point(outcome) if outcome is not None else None
        entries.append(entry.model_copy(update={"on_front": point is not None and point in front}))
        # Off the front, the improvement is minus the distance. Points on it have a distance of 0, and aren't
        # sorted by it.
        distances[record.id] = math.inf if point is None else -front.improvement(point)
    return Leaderboard(
        sorted(
            entries,
            key=lambda entry: (
                not entry.on_front,
                -(entry.accuracy or 0.0) if entry.on_front else distances[entry.child],
                entry.child,
            ),
        )
    )


def _rank(entry: LeaderboardEntry) -> tuple[float, float, int]:
    # Ascending, so the reward is negated. The child's number decides last, so that the order never depends on
    # chance.
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
