"""Pictures of a report as SVG: regret and rank against simulated time, and the results of the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from raynas.programs.benchmark.report.statistics import RegretCurve
from raynas.programs.benchmark.summary import StrategySummary
from raynas.programs.report.charts import GREY, NEAR_BLACK, SERIES, chart, legend_below

WIDTH = 9.0
"""Width in inches of a chart that spans the page."""
DASHES = ("-", "--", ":", "-.")
"""Line styles; the next one is used each time the colours start over."""
DOTS = (0, (1, 2))


def regret_picture(curves: Mapping[str, RegretCurve], *, one_draw: float) -> str:
    """Mean regret of each strategy with its confidence band; `one_draw` is the regret of random sampling."""
    with chart(x="simulated seconds", y="mean regret, as accuracy", width=WIDTH, height=4.6) as drawn:
        axes = drawn.axes
        for number, (label, curve) in enumerate(curves.items()):
            color, dash = _line(number)
            axes.fill_between(curve.seconds_T, curve.low_T, curve.high_T, color=color, alpha=0.2, linewidth=0)
            axes.plot(curve.seconds_T, curve.mean_T, dash, color=color, linewidth=1.6, label=label)
        axes.axhline(one_draw, color=NEAR_BLACK, linewidth=1, linestyle=DOTS, label="one random draw")
        _log_seconds(axes)
        _log_scale(axes, [value for curve in curves.values() for value in curve.mean_T] + [one_draw])
        legend_below(axes)
        return drawn.svg()


def ranks_picture(summaries: Sequence[StrategySummary]) -> str:
    """Mean place of each strategy after each budget, the best on top."""
    with chart(x="simulated seconds", y="mean place, 1 is best", width=WIDTH, height=3.6) as drawn:
        axes = drawn.axes
        for number, label in enumerate(dict.fromkeys(summary.strategy for summary in summaries)):
            color, dash = _line(number)
            own = [summary for summary in summaries if summary.strategy == label]
            budgets, ranks = [summary.budget for summary in own], [summary.rank for summary in own]
            axes.plot(budgets, ranks, dash, color=color, linewidth=1.6, marker="o", label=label)
        axes.invert_yaxis()
        _log_seconds(axes)
        axes.set_xticks(sorted({summary.budget for summary in summaries}))
        axes.xaxis.set_minor_formatter(NullFormatter())
        legend_below(axes)
        return drawn.svg()


def results_picture(results: Mapping[str, Sequence[float]], *, best_result: float) -> str:
    """A box per strategy: quartiles, whiskers at the 5th and 95th percentile, the mean as a diamond."""
    height = 0.9 + 0.5 * len(results)
    with chart(x="result of the best child by signal, as accuracy", width=WIDTH, height=height) as drawn:
        axes = drawn.axes
        boxes = axes.boxplot(
            list(results.values()),
            tick_labels=list(results),
            orientation="horizontal",
            whis=(5, 95),
            widths=0.6,
            showfliers=False,
            showmeans=True,
            patch_artist=True,
            meanprops={
                "marker": "D",
                "markersize": 5,
                "markerfacecolor": NEAR_BLACK,
                "markeredgecolor": "white",
            },
            medianprops={"color": NEAR_BLACK},
        )
        for place, box in enumerate(boxes["boxes"]):
            box.set(facecolor=SERIES[place % len(SERIES)], alpha=0.55, edgecolor=NEAR_BLACK)
        axes.axvline(best_result, color=GREY, linewidth=1, linestyle=DOTS)
        axes.annotate(
            "best of the table",
            (best_result, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
        )
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        return drawn.svg()


def _line(number: int) -> tuple[str, str]:
    """Colour and dash of line `number`."""
    return SERIES[number % len(SERIES)], DASHES[number // len(SERIES) % len(DASHES)]


def _log_seconds(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _log_scale(axes: Axes, values: Sequence[float]) -> None:
    """Makes the axis of the regret logarithmic, unless every regret is 0."""
    positive = [value for value in values if value > 0]
    if not positive:
        return
    axes.set_yscale("log")
    axes.set_ylim(min(positive) / 1.3, max(positive) * 1.3)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
