"""The best cells, listed and drawn, and what accuracy costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raynas.cells.draw import genotype_svg
from raynas.programs.report.document import Figure, Section, Table
from raynas.programs.report.run import charts
from raynas.programs.report.run.data import RunData
from raynas.programs.report.run.history import drawable
from raynas.run.leaderboard import LeaderboardEntry
from raynas.strategies.rewards.front import Front
from raynas.strategies.rewards.pareto import ParetoConfig
from raynas.strategies.rewards.reward import Cost

NUM_LISTED = 10
"""Number of the best cells in the table."""
NUM_DRAWN = 3
"""Number of them that are drawn."""
COST_NAMES: dict[Cost, str] = {
    "parameters": "parameters",
    "mult_adds": "multiply-adds",
    "activations": "activations",
    "latency_ms": "latency (ms)",
}
SHOWN_COSTS: tuple[Cost, ...] = ("parameters", "mult_adds", "latency_ms")
"""Costs against which the accuracy is drawn for a run that keeps no front."""


def best_cells(run: RunData) -> Section:
    """Empty if no child has a reward."""
    different: dict[str, LeaderboardEntry] = {}
    for entry in run.recorded.entries:
        if entry.reward is not None:
            different.setdefault(entry.arch_id, entry)
    best = list(different.values())[:NUM_LISTED]
    return Section("The best cells", (_table(run, best), *_drawn(run, best[:NUM_DRAWN])) if best else ())


def costs_of_cells(run: RunData) -> Section:
    shown = SHOWN_COSTS if run.recorded.trade is None else (run.recorded.trade.cost,)
    pictures = [picture for cost in shown for picture in _against(run, cost)]
    if run.recorded.trade is not None and pictures:
        pictures.append(_hypervolume(run, run.recorded.trade))
    return Section("Accuracy against cost", tuple(pictures))


def _table(run: RunData, entries: Sequence[LeaderboardEntry]) -> Table:
    hidden = set()
    if all(entry.reward == entry.accuracy for entry in entries):
        hidden.add("reward")
    if all(entry.latency_ms is None for entry in entries):
        hidden.add("latency (ms)")
    if run.recorded.trade is None:
        hidden.add("on the front")
    rows = [_row(rank, entry) for rank, entry in enumerate(entries, start=1)]
    columns = tuple(column for column in rows[0] if column not in hidden)
    caption = "Different cells, by reward."
    if run.recorded.trade is not None:
        caption = "Different cells: the front by accuracy, then the others, the nearest to it first."
    return Table(columns, tuple(tuple(row[column] for column in columns) for row in rows), caption)


def _row(rank: int, entry: LeaderboardEntry) -> dict[str, str]:
    return {
        "rank": str(rank),
        "arch_id": entry.arch_id,
        "child": str(entry.child),
        "on the front": "yes" if entry.on_front else "no",
        "reward": _number(entry.reward),
        "accuracy": _number(entry.accuracy),
        "parameters": _count(entry.parameters),
        "multiply-adds": _count(entry.mult_adds),
        "latency (ms)": "" if entry.latency_ms is None else f"{entry.latency_ms:.3g}",
        "epochs": str(entry.epochs),
        "seconds": f"{entry.seconds or 0.0:,.1f}",
    }


def _drawn(run: RunData, entries: Sequence[LeaderboardEntry]) -> Iterator[Figure]:
    if run.space is None:
        return
    for rank, entry in enumerate(entries, start=1):
        try:
            genotype = run.space.decode(run.recorded.records[entry.child].proposed.actions)
        except ValueError:
            # Not of this space: the journal was changed by hand.
            continue
        caption = f"Cell {rank}: {entry.arch_id}, child {entry.child}, accuracy {_number(entry.accuracy)}."
        yield Figure(f"cell-{rank}", genotype_svg(genotype), caption, is_wide=True)


def _against(run: RunData, cost: Cost) -> Iterator[Figure]:
    outcomes = [child.record.outcome for child in run.ended]
    pairs = [(outcome.cost(cost), outcome.accuracy) for outcome in outcomes if outcome is not None]
    points = [
        (size, accuracy)
        for size, accuracy in ((drawable(size), accuracy) for size, accuracy in pairs)
        if size is not None and accuracy is not None
    ]
    if not points:
        return
    # A cost beyond all of them: a front ignores points that are as costly as the worst, or more.
    largest = 2.0 * max(size for size, _ in points) + 1.0
    worst = run.recorded.trade.worst_cost if run.recorded.trade is not None else largest
    front = Front((size / worst, accuracy) for size, accuracy in points)
    yield Figure(
        f"accuracy-against-{cost.replace('_', '-')}",
        charts.accuracy_against_cost(
            points, [(size * worst, accuracy) for size, accuracy in front.points], x=COST_NAMES[cost]
        ),
        f"Validation accuracy against {COST_NAMES[cost]}. On the front are the children that no other equals "
        "in both.",
    )


def _hypervolume(run: RunData, trade: ParetoConfig) -> Figure:
    outcomes = [child.record.outcome for child in run.ended]
    points = [trade.point(outcome) if outcome is not None else None for outcome in outcomes]
    return Figure(
        "hypervolume",
        charts.hypervolume_by_child(points),
        "Hypervolume below the front of the children so far: of all accuracies up to 1 and all "
        f"{COST_NAMES[trade.cost]} up to {trade.worst_cost:,.10g}, the share that some child is better than "
        f"in both; at the end {run.recorded.hypervolume:.4f}. The reward of a child is "
        "what it adds, or, negative, how far it is from adding something.",
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
