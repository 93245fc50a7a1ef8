"""Charts as SVG in one style, drawn with matplotlib but without pyplot and its global state.

Text is drawn as outlines, so that a chart looks the same on every machine, whatever fonts it has.
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
"""Size of a chart in inches."""
# Dark enough on white, and distinguishable for readers who can't tell red from green.
BLUE = "#2a5d9f"
ORANGE = "#d9822b"
GREEN = "#2e8b57"
RED = "#c23b3b"
PURPLE = "#7b4fa3"
GREY = "#9aa4b5"
NEAR_BLACK = "#1d2433"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
"""Colors of several series in one chart, in this order."""
MAX_VECTOR_DOTS = 1000
"""Number of dots above which they are embedded as a bitmap, which keeps the file small."""
MAX_MARKED_POINTS = 40
"""Number of points of a line up to which each one gets a marker."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    # matplotlib hashes the ids in the file with this salt, which is random by default: the same chart always
    # gives the same bytes.
    "svg.hashsalt": "raynas",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "font.size": 11,
    "axes.edgecolor": "#8892a4",
    "axes.labelcolor": NEAR_BLACK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9f0",
    "xtick.color": "#596579",
    "ytick.color": "#596579",
    "text.color": NEAR_BLACK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


class Chart:
    """A figure with one pair of axes. Draw on `axes`, then call `svg`."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self.axes: Axes = figure.add_subplot()

    def svg(self) -> str:
        """The chart as an SVG element."""
        file = StringIO()
        FigureCanvasSVG(self._figure)
        self._figure.savefig(file, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
        content = file.getvalue()
        # Browsers need neither the XML declaration nor the doctype, which holds a link to w3.org.
        return content[content.index("<svg") :]


@contextlib.contextmanager
def chart(
    *, x: str, y: str = "", width: float = WIDTH, height: float = HEIGHT, counts_x: bool = False
) -> Iterator[Chart]:
    """A new chart. The style applies within the block only, so call `svg` there.

    Args:
        x, y: labels of the axes, with units.
        width, height: size in inches.
        counts_x: put the ticks of the horizontal axis at whole numbers.
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
    """A line that keeps each value until the next one."""
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
    """A line with a band of `widths` below and above it. Short lines get markers too."""
    lower = [y - width for y, width in zip(ys, widths, strict=True)]
    upper = [y + width for y, width in zip(ys, widths, strict=True)]
    axes.fill_between(xs, lower, upper, color=color, alpha=0.18, linewidth=0)
    is_short = len(xs) <= MAX_MARKED_POINTS
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
    """A scatter plot. Many dots are drawn small and pale, so that their density shows."""
    if len(xs) > MAX_VECTOR_DOTS:
        axes.scatter(xs, ys, s=4, color=color, alpha=0.35, linewidths=0, rasterized=True)
        xs, ys = [], []
    # For many dots this draws nothing and only adds the entry of the legend, with a dot of normal size.
    axes.scatter(xs, ys, s=18, color=color, alpha=0.75, linewidths=0, label=label)


def legend_below(axes: Axes) -> None:
    """Puts the legend under the axes, where it covers nothing. A single series gets none."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure = axes.figure
        # matplotlib fills one column after the other, so neighbouring entries stay together in two columns.
        num_columns = len(labels) if len(labels) <= 3 else 2
        figure.legend(handles, labels, loc="outside lower center", ncols=num_columns)
