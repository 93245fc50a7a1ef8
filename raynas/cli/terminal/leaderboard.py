"""The leaderboard of a run as tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from raynas.cli.terminal.quantities import short_count
from raynas.run.failures import printable
from raynas.run.leaderboard import LeaderboardEntry, by_architecture

COLUMNS = (
    "rank",
    "front",
    "arch_id",
    "child",
    "status",
    "reward",
    "accuracy",
    "params",
    "mult-adds",
    "ms",
    "seconds",
)
DISPENSABLE = ("mult-adds", "seconds", "params")
"""Columns that are dropped, in this order, where the terminal is too narrow for all."""
LEFT_ALIGNED = ("front", "arch_id", "status")
COLUMN_GAP = 2
"""Characters that Rich puts between two columns."""


def print_leaderboard(
    entries: list[LeaderboardEntry],
    console: Console,
    *,
    num_infeasible: int = 0,
    hypervolume: float | None = None,
) -> None:
    """Prints the entries as a table, without the columns that would be empty or repeat another.

    Args:
        num_infeasible: number of proposals refused for exceeding the limits.
        hypervolume: share of the accuracy-cost plane below the front, if the run's reward keeps a front.
    """
    table = Table(box=None, pad_edge=False, title="Leaderboard", title_justify="left")
    rows = [_cells(rank, entry) for rank, entry in enumerate(entries, start=1)]
    columns = _columns(entries)
    fitting = _fitting(columns, rows, console.width)
    for column in fitting:
        table.add_column(column, justify="left" if column in LEFT_ALIGNED else "right", no_wrap=True)
    for row in rows:
        table.add_row(*[row[str(column.header)] for column in table.columns])
    console.print(table)
    if hidden := [column for column in columns if column not in fitting]:
        console.print(f"not shown on a narrow terminal: {', '.join(hidden)}")
    if hypervolume is not None:
        console.print(f"Hypervolume below the front: {hypervolume:.4f} of 1.")
    for entry in entries:
        if entry.reason:
            line = f"child {entry.child} {entry.status}: {entry.reason}"
            console.print(line)
    for line in _origins(entries):
        console.print(line)
    if num_infeasible:
        proposals = "1 proposal was" if num_infeasible == 1 else f"{num_infeasible:,} proposals were"
        console.print(f"{proposals} beyond the limits and not trained.")


def _origins(entries: list[LeaderboardEntry]) -> list[str]:
    """A line for each other run whose scores are in the table."""
    by_run: dict[str, list[str]] = {}
    for entry in entries:
        if entry.memo_run is not None:
            by_run.setdefault(entry.memo_run, []).append(f"{entry.child} (child {entry.memo_child} there)")
    return [
        f"reused from {printable(run)}: the scores of {', '.join(children)}"
        for run, children in by_run.items()
    ]


def _status(entry: LeaderboardEntry) -> str:
    if entry.reused_from is not None:
        return f"as child {entry.reused_from}"
    return entry.status if entry.memo_run is None else "reused"


def _columns(entries: list[LeaderboardEntry]) -> list[str]:
    """The columns that say something about these entries."""
    hidden = set()
    # The default reward is the accuracy itself.
    if all(entry.reward == entry.accuracy for entry in entries):
        hidden.add("reward")
    if all(entry.latency_ms is None for entry in entries):
        hidden.add("ms")
    if all(entry.on_front is None for entry in entries):
        hidden.add("front")
    return [column for column in COLUMNS if column not in hidden]


def _fitting(columns: list[str], rows: list[dict[str, str]], width: int) -> list[str]:
    """The columns that fit into `width` characters."""
    left_out: set[str] = set()
    for dispensable in DISPENSABLE:
        shown = [column for column in columns if column not in left_out]
        widths = [max(len(column), *(len(row[column]) for row in rows), 0) for column in shown]
        if sum(widths) + COLUMN_GAP * (len(widths) - 1) <= width:
            break
        left_out.add(dispensable)
    return [column for column in columns if column not in left_out]


def _cells(rank: int, entry: LeaderboardEntry) -> dict[str, str]:
    return {
        "rank": str(rank),
        "front": "yes" if entry.on_front else "",
        "arch_id": entry.arch_id,
        "child": str(entry.child),
        "status": _status(entry),
        "reward": "" if entry.reward is None else f"{entry.reward:.4f}",
        "accuracy": "" if entry.accuracy is None else f"{entry.accuracy:.4f}",
        "params": short_count(entry.parameters),
        "mult-adds": short_count(entry.mult_adds),
        "ms": "" if entry.latency_ms is None else f"{entry.latency_ms:.3g}",
        "seconds": "" if entry.seconds is None else f"{entry.seconds:.1f}",
    }


def print_architectures(entries: list[LeaderboardEntry], console: Console) -> None:
    """Prints the mean accuracy of each architecture, if any was trained more than once."""
    rows = by_architecture(entries)
    if all(row.trainings == 1 for row in rows):
        return
    table = Table(box=None, pad_edge=False, title="By architecture", title_justify="left")
    for column in ("rank", "arch_id", "trainings", "mean accuracy", "standard deviation"):
        table.add_column(column, justify="left" if column == "arch_id" else "right", no_wrap=True)
    for rank, row in enumerate(rows, start=1):
        deviation = f"{row.standard_deviation:.4f}" if row.trainings > 1 else ""
        table.add_row(str(rank), row.arch_id, str(row.trainings), f"{row.mean:.4f}", deviation)
    console.print(table)
