"""The charts of a run's report, as SVG. Each function is given what it draws; history.py finds it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from raynas.programs.report.charts import (
    BLUE,
    GREEN,
    GREY,
    NEAR_BLACK,
    ORANGE,
    RED,
    banded_line,
    chart,
    dots,
    legend_below,
    step_line,
)
from raynas.programs.report.run.history import EndedChild, PolicyVersion, best_so_far, running_mean
from raynas.strategies.rewards.front import Front, FrontPoint

MINUTES_UP_TO = 2.0
"""Hours; a shorter run is drawn in minutes."""
CROWDED_MARKS = 100
MAX_WRITTEN = 12
"""Columns of a heat map in which the numbers are written."""


def best_against_children(children: Sequence[EndedChild]) -> str:
    """The accuracy of each child, and the best up to each."""
    numbers = [float(number) for number in range(1, len(children) + 1)]
    return _best(children, numbers, x="children that have ended", counts_x=True)


def best_against_time(children: Sequence[EndedChild]) -> str:
    hours = [child.hours for child in children]
    if max(hours) > MINUTES_UP_TO:
        return _best(children, hours, x="hours at work")
    return _best(children, [60.0 * hour for hour in hours], x="minutes at work")


def _best(children: Sequence[EndedChild], xs: Sequence[float], *, x: str, counts_x: bool = False) -> str:
    with chart(x=x, y="validation accuracy", counts_x=counts_x) as made:
        scored = [(place, child.accuracy) for place, child in zip(xs, children, strict=True)]
        known = [(place, accuracy) for place, accuracy in scored if accuracy is not None]
        dots(made.axes, [place for place, _ in known], [accuracy for _, accuracy in known], label="a child")
        best = best_so_far(accuracy for _, accuracy in scored)
        steps = [(place, value) for place, value in zip(xs, best, strict=True) if value is not None]
        step_line(
            made.axes, [place for place, _ in steps], [value for _, value in steps], label="best so far"
        )
        failed = [place for place, accuracy in scored if accuracy is None]
        if failed:
            _rug(made.axes, failed, label="failed")
        legend_below(made.axes)
        return made.svg()


def reward_by_child(rewards: Sequence[tuple[int, float]], *, window: int) -> str:
    """Rewards in the order of their children's ends, by number, and the mean of the last `window`."""
    with chart(x="children that have ended", y="reward", counts_x=True) as made:
        numbers, values = [number for number, _ in rewards], [value for _, value in rewards]
        dots(made.axes, numbers, values, label="a child")
        made.axes.plot(numbers, running_mean(values, window), color=BLUE, label=f"mean of the last {window}")
        legend_below(made.axes)
        return made.svg()


def reward_by_version(versions: Sequence[PolicyVersion]) -> str:
    """Mean and standard deviation of the rewards of each version's children."""
    known = [version for version in versions if version.rewards]
    with chart(x="policy version", y="reward", counts_x=True) as made:
        numbers = [version.version for version in known]
        means = [statistics.fmean(version.rewards) for version in known]
        deviations = [statistics.pstdev(version.rewards) for version in known]
        if len(known) <= 40:
            for version in known:
                dots(made.axes, [version.version] * len(version.rewards), version.rewards, label="_")
        label = "mean, and standard deviation between children"
        banded_line(made.axes, numbers, means, deviations, label=label)
        return made.svg()


def entropy_by_version(versions: Sequence[PolicyVersion], *, uniform: float | None) -> str:
    """The estimate of each version's entropy with two standard errors, and that of a uniform policy."""
    known = [version for version in versions if version.log_probs]
    with chart(x="policy version", y="entropy (nats)", counts_x=True) as made:
        numbers = [version.version for version in known]
        means = [-statistics.fmean(version.log_probs) for version in known]
        errors = [2.0 * _standard_error(version.log_probs) for version in known]
        banded_line(made.axes, numbers, means, errors, label="estimate, +- 2 standard errors")
        if uniform is not None:
            made.axes.axhline(
                uniform, color=NEAR_BLACK, linestyle="--", linewidth=1.2, label="uniform policy"
            )
        legend_below(made.axes)
        return made.svg()


def operations_over_time(shares: Mapping[str, Sequence[float]], labels: Sequence[str]) -> str:
    """A heat map: operations, the most used at the end on top, against parts of the run."""
    names = sorted(shares, key=lambda name: (-shares[name][-1], name))
    rows = [[100.0 * share for share in shares[name]] for name in names]
    top = max(max(row) for row in rows) or 1.0
    height = 1.3 + 0.29 * len(names)
    with chart(x="proposals", y="", height=height) as made:
        axes = made.axes
        axes.grid(False)
        axes.imshow(rows, cmap="Blues", aspect="auto", vmin=0.0, vmax=1.25 * top, interpolation="nearest")
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(range(len(labels)), labels)
        axes.tick_params(length=0, colors=NEAR_BLACK, labelsize=9)
        if len(labels) <= MAX_WRITTEN:
            for y, row in enumerate(rows):
                for x, share in enumerate(row):
                    color = "white" if share > 0.8 * top else NEAR_BLACK
                    axes.text(x, y, f"{share:.0f}", ha="center", va="center", fontsize=9, color=color)
        return made.svg()


def operations_of_the_best(names: Sequence[str], *, of_best: Sequence[float], of_all: Sequence[float]) -> str:
    """Two bars per operation, the one that the best have more of on top."""
    order = sorted(range(len(names)), key=lambda index: (of_all[index] - of_best[index], names[index]))
    height = 1.5 + 0.29 * len(names)
    with chart(x="percent of all choices", y="", height=height) as made:
        axes = made.axes
        axes.grid(False, axis="y")
        places = range(len(order))
        all_percent = [100.0 * of_all[index] for index in order]
        best_percent = [100.0 * of_best[index] for index in order]
        axes.barh([place - 0.2 for place in places], best_percent, height=0.4, color=BLUE, label="the best")
        axes.barh([place + 0.2 for place in places], all_percent, height=0.4, color=GREY, label="all")
        axes.set_yticks(places, [names[index] for index in order])
        axes.tick_params(axis="y", length=0, colors=NEAR_BLACK, labelsize=9)
        axes.invert_yaxis()
        legend_below(axes)
        return made.svg()


def early_and_late(early: Sequence[float], late: Sequence[float]) -> str:
    """Two distributions of accuracies, as shares of the children of each."""
    low, high = min(*early, *late), max(*early, *late)
    num_bins = max(min(round(math.sqrt(len(early) + len(late))) + 2, 30), 6)
    width = (high - low) / num_bins or 0.01
    edges = [low + width * number for number in range(num_bins + 1)]
    with chart(x="validation accuracy", y="share of the children") as made:
        for values, color, name in ((early, ORANGE, "early"), (late, BLUE, "late")):
            is_early = values is early
            made.axes.hist(
                values,
                bins=edges,
                weights=[1.0 / len(values)] * len(values),
                histtype="stepfilled" if is_early else "step",
                color=color,
                alpha=0.4 if is_early else 1.0,
                linewidth=0 if is_early else 2,
                label=f"{name} ({len(values):,})",
            )
            median = statistics.median(values)
            made.axes.axvline(median, color=color, linestyle="--", linewidth=1.6, label=f"{name}, median")
        legend_below(made.axes)
        return made.svg()


def accuracy_against_cost(points: Sequence[FrontPoint], front: Sequence[FrontPoint], *, x: str) -> str:
    """Every child, and those that no other beats in both.

    Args:
        points, front: (cost, accuracy).
    """
    with chart(x=x, y="validation accuracy") as made:
        dots(made.axes, [cost for cost, _ in points], [accuracy for _, accuracy in points], label="a child")
        costs, accuracies = [cost for cost, _ in front], [accuracy for _, accuracy in front]
        made.axes.step(costs, accuracies, where="post", color=GREEN, linewidth=1.4)
        made.axes.scatter(costs, accuracies, s=42, color=GREEN, label="on the front", zorder=3)
        made.axes.xaxis.set_major_formatter(_short)
        legend_below(made.axes)
        return made.svg()


def hypervolume_by_child(points: Sequence[FrontPoint | None]) -> str:
    """The hypervolume below the front of the children up to each."""
    front, volumes = Front(), []
    for point in points:
        if point is not None:
            front.add(point)
        volumes.append(front.hypervolume())
    with chart(x="children that have ended", y="hypervolume below the front", counts_x=True) as made:
        step_line(made.axes, range(1, len(volumes) + 1), volumes, label="hypervolume", color=GREEN)
        return made.svg()


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _rug(axes: Axes, xs: Sequence[float], *, label: str) -> None:
    """Marks above the horizontal axis."""
    axes.plot(
        xs,
        [0.03] * len(xs),
        linestyle="",
        marker="|",
        markersize=7,
        markeredgewidth=1.2,
        alpha=0.5 if len(xs) > CROWDED_MARKS else 1.0,
        color=RED,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        label=f"{label} ({len(xs):,})",
    )


def _short(value: float, _position: float) -> str:
    """1200000 as '1.2 M'."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
