"""Regret against simulated time, and where the seeds ended, as SVG; matplotlib without pyplot's global "
"state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from raynas.tabular.report.statistics import RegretCurve

# Okabe & Ito 2008: told apart by the colour-blind too. Beyond eight, the dashes tell.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a8a")
DASHES = ("-", "--", ":", "-.")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    # Paths, so that the picture is the same where the font is missing; a fixed salt, so that it is twice.
    "svg.fonttype": "path",
    "svg.hashsalt": "raynas",
}


def regret_picture(curves: Mapping[str, RegretCurve], *, one_draw: float) -> bytes:
    """Mean regret of each strategy with the band of its confidence; `one_draw` is that of random sampling."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for place, (label, curve) in enumerate(curves.items()):
            color, dash = COLORS[place % len(COLORS)], DASHES[place // len(COLORS) % len(DASHES)]
            axes.fill_between(curve.seconds_T, curve.low_T, curve.high_T, color=color, alpha=0.2, linewidth=0)
            axes.plot(curve.seconds_T, curve.mean_T, dash, color=color, linewidth=1.6, label=label)
        axes.axhline(one_draw, color="#8a8a8a", linestyle=(0, (1, 2)), label="one random draw")
        axes.set_xscale("log")
        _log_scale(axes, [value for curve in curves.values() for value in curve.mean_T] + [one_draw])
        axes.set_xlabel("simulated seconds")
        axes.set_ylabel("mean regret, as accuracy")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return _svg(figure)


def results_picture(results: Mapping[str, Sequence[float]], *, best_result: float) -> bytes:
    """A box for each strategy: quartiles, 5th and 95th percentile, the mean as a diamond."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.9 + 0.5 * len(results)), layout="constrained")
        axes = figure.add_subplot()
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
                "markerfacecolor": "#1a1a1a",
                "markeredgecolor": "white",
            },
            medianprops={"color": "#1a1a1a"},
        )
        for place, box in enumerate(boxes["boxes"]):
            box.set(facecolor=COLORS[place % len(COLORS)], alpha=0.55, edgecolor="#1a1a1a")
        axes.axvline(best_result, color="#8a8a8a", linestyle=(0, (1, 2)))
        axes.annotate(
            "best of the table",
            (best_result, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
            color="#4d4d4d",
        )
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("result of the best child by signal, as accuracy")
        return _svg(figure)


def _log_scale(axes: Axes, values: Sequence[float]) -> None:
    """Of the regret, if there is any; it may come down to nothing."""
    positive = [value for value in values if value > 0]
    if not positive:
        return
    axes.set_yscale("log")
    axes.set_ylim(min(positive) / 1.3, max(positive) * 1.3)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _svg(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
