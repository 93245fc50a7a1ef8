"""Charts as SVG: matplotlib's objects, without pyplot and its global state, in one style.

Texts are drawn as outlines, so that a chart looks the same wherever it is opened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 5.8, 3.5
"""Inches."""
BLUE, ORANGE, GREEN, RED, PURPLE, GREY, INK = (
    "#2a5d9f",
    "#d9822b",
    "#2e8b57",
    "#c23b3b",
    "#7b4fa3",
    "#9aa4b5",
    "#1d2433",
)
"""Dark enough on white, and apart for those who don't see red and green."""
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
"""One after the other, for charts of several series."""

CROWD = 1000
"""More dots than this are painted as an image."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    # The ids in the file are made of this and of what they name: same chart, same bytes.
    "svg.hashsalt": "raynas",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "font.size": 11,
    "axes.edgecolor": "#8892a4",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9f0",
    "xtick.color": "#596579",
    "ytick.color": "#596579",
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


class Chart:
    """A figure with one pair of axes; `axes` is drawn on between `chart` and `svg`."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self.axes: Axes = figure.add_subplot()

    def svg(self) -> str:
        file = StringIO()
        FigureCanvasSVG(self._figure)
        self._figure.savefig(file, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
        content = file.getvalue()
        # The declaration and the doctype name an address: browsers need neither.
        return content[content.index("<svg") :]


@contextlib.contextmanager
def chart(
    *, x: str, y: str = "", width: float = WIDTH, height: float = HEIGHT, counts_x: bool = False
) -> Iterator[Chart]:
    """A new chart; the style holds within the block, so `svg` is to be called there.

    Args:
        x, y: what the axes show, with the unit.
        width, height: in inches.
        counts_x: ticks of the horizontal axis are whole numbers.
    """
    with matplotlib.rc_context(_STYLE):
        made = Chart(Figure(figsize=(width, height), layout="constrained"))
        made.axes.set_xlabel(x)
        made.axes.set_ylabel(y)
        if counts_x:
            made.axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            made.axes.xaxis.set_major_formatter("{x:,.0f}")
        yield made


def step_line(axes: Axes, xs: Sequence[float], ys: Sequence[float], *, label: str, color: str = BLUE) -> None:
    """A value that holds until the next one."""
    axes.step(xs, ys, where="post", color=color, label=label)


def banded_line(
    axes: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    widths: Sequence[float],
    *,
    label: str,
    color: str = BLUE,
) -> None:
    """A line with a band of `widths` below and above; few points get marks too."""
    lower = [y - width for y, width in zip(ys, widths, strict=True)]
    upper = [y + width for y, width in zip(ys, widths, strict=True)]
    axes.fill_between(xs, lower, upper, color=color, alpha=0.18, linewidth=0)
    is_short = len(xs) <= 40
    axes.plot(
        xs,
        ys,
        color=color,
        label=label,
        marker="o" if is_short else "",
        markersize=5,
        linewidth=2 if is_short else 1,
    )


def dots(axes: Axes, xs: Sequence[float], ys: Sequence[float], *, label: str, color: str = GREY) -> None:
    """Many dots become small and pale, so that a crowd is seen as one."""
    if len(xs) > CROWD:
        axes.scatter(xs, ys, s=4, color=color, alpha=0.35, linewidths=0, rasterized=True)
        xs, ys = [], []
    # Of a crowd nothing, for the legend.
    axes.scatter(xs, ys, s=18, color=color, alpha=0.75, linewidths=0, label=label)


def legend_below(axes: Axes) -> None:
    """Under the axes, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure = axes.figure
        # Columns are filled one after the other: pairs of entries stay together.
        num_columns = len(labels) if len(labels) <= 3 else 2
        figure.legend(handles, labels, loc="outside lower center", ncols=num_columns)
