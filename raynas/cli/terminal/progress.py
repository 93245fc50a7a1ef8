"""The progress of a running search: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from raynas.child import Child, EpochReport
from raynas.cli.terminal.quantities import duration
from raynas.run.records import ChildRecord, RunListener

RECENT = 8
"""Number of finished children that the live table shows."""


WIDTHS = {"child": 5, "arch_id": 12, "status": 9, "epoch": 5, "accuracy": 8, "parameters": 10, "seconds": 7}
"""Characters of each column of the live table."""
DISPENSABLE = ("parameters", "seconds", "epoch")
"""Columns that are left out, in this order, where the terminal is too narrow for all."""
COLUMN_GAP = 2


class SearchProgress(RunListener):
    """Counts the events of a run and estimates the time left.

    Args:
        num_children: number of children in the whole run.
        best_by_accuracy: compare children by accuracy instead of reward. For rewards such as pareto, which
            say how much a child added to a front and not how good it is.
    """

    def __init__(self, num_children: int, console: Console, *, best_by_accuracy: bool = False) -> None:
        self.num_children = num_children
        self.best_by_accuracy = best_by_accuracy
        self.num_finished = 0
        self.num_infeasible = 0
        self.phase = "Reading the data ..."
        self.best: ChildRecord | None = None
        self.started_at = time.monotonic()
        # Children replayed from the journal are counted, but only what happens after the replay is printed.
        self.is_live = False
        self.is_running = False
        self._num_finished_here = 0
        self._console = console

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Does nothing; LiveTable stops drawing here."""

    def replayed(self) -> None:
        self.is_live = True

    def noted(self, text: str) -> None:
        self._console.print(text)

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        # The clock starts with the first child, so that the time to start workers doesn't lower the rate.
        if not self.is_running:
            self.started_at = time.monotonic()
        self.is_live = self.is_running = True

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        self.num_finished += 1
        if self.is_running:
            self._num_finished_here += 1
        score = self._score(record)
        best = self._score(self.best) if self.best else None
        if score is not None and (best is None or score > best):
            self.best = record

    def child_refused(self, record: ChildRecord) -> None:
        self.num_infeasible += 1

    @property
    def children_per_hour(self) -> float:
        elapsed = time.monotonic() - self.started_at
        return 3600.0 * self._num_finished_here / elapsed if elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        rate = self.children_per_hour
        return (self.num_children - self.num_finished) * 3600.0 / rate if rate else None

    def summary(self) -> str:
        left = "?" if self.seconds_left is None else duration(self.seconds_left)
        best = "no score yet"
        if self.best is not None:
            best = f"best {self._score(self.best):.4f} ({self.best.proposed.arch_id})"
        refused = f", {self.num_infeasible} beyond the limits" if self.num_infeasible else ""
        return f"{best}, {self.children_per_hour:.0f} children per hour, {left} left{refused}"

    def _score(self, record: ChildRecord) -> float | None:
        if self.best_by_accuracy and record.result is not None:
            return record.result.accuracy
        return record.reward


class PlainLines(SearchProgress):
    """Prints a line of key=value fields for each finished child and each policy update.

    Keys have the same names as in the journal.
    """

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        super().child_finished(record, child)
        result = record.result
        if not self.is_live or result is None or record.finished is None:
            return
        memo = record.finished.memo
        fields = {
            "child": f"{record.id}",
            "arch_id": record.proposed.arch_id,
            "status": result.status,
            "reused_from": record.finished.reused_from,
            "memo_run": memo.folder if memo else None,
            "memo_child": memo.child if memo else None,
            "accuracy": _number(result.accuracy),
            "reward": _number(record.reward),
            "parameters": record.proposed.parameters,
            "latency_ms": _number(result.latency_ms),
            "seconds": f"{result.seconds:.1f}",
            "reason": repr(result.reason) if result.reason else None,
        }
        line = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
        self._console.print(
            f"[{self.num_finished}/{self.num_children}] child done  {line}  ({self.summary()})"
        )

    def policy_updated(self, statistics: dict[str, float]) -> None:
        if self.is_live:
            self._console.print(
                "policy updated  " + " ".join(f"{key}={value:.5g}" for key, value in statistics.items())
            )


class LiveTable(SearchProgress):
    """A table of the running and the last finished children, above a progress bar."""

    def __init__(self, num_children: int, console: Console, *, best_by_accuracy: bool = False) -> None:
        super().__init__(num_children, console, best_by_accuracy=best_by_accuracy)
        # Rich draws in a thread of its own. A running child is added or removed by replacing the whole dict,
        # never by changing it, because iterating over a dict that another thread resizes raises RuntimeError.
        self._running: dict[int, tuple[ChildRecord, EpochReport | None]] = {}
        self._recent: deque[ChildRecord] = deque(maxlen=RECENT)
        self._opened_at = time.monotonic()
        self._bar = Progress(
            TextColumn("children"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("children", total=num_children)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> SearchProgress:
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._live.stop()

    def noted(self, text: str) -> None:
        # A phase is shown with its clock until the next one; everything else stays on the screen.
        if text.endswith("..."):
            self.phase = text
        else:
            super().noted(text)

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        super().child_proposed(record, child)
        self.phase = "The workers load their libraries and the images ..."
        self._running = {**self._running, record.id: (record, None)}

    def epoch_reported(self, record: ChildRecord, report: EpochReport) -> None:
        self._running = {**self._running, record.id: (record, report)}

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        super().child_finished(record, child)
        self._running = {key: value for key, value in self._running.items() if key != record.id}
        self._recent.append(record)
        self._bar.update(self._task, completed=self.num_finished)

    def child_refused(self, record: ChildRecord) -> None:
        super().child_refused(record)
        self._running = {key: value for key, value in self._running.items() if key != record.id}

    def _render(self) -> RenderableType:
        clock = duration(time.monotonic() - self._opened_at)
        if not self.is_running:
            return Group(f"{self.phase} {clock}", self._bar)
        columns = fitting_columns(self._console.width)
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(
                column, justify="left" if column in ("arch_id", "status") else "right", no_wrap=True
            )
        # Copied in one step, as the deque may change while the rows are made.
        for record in list(self._recent):
            _add_row(table, columns, record, "", None)
        for record, report in self._running.values():
            _add_row(table, columns, record, "running" if report else "waiting", report)
        has_begun = self._recent or self.num_infeasible or any(report for _, report in self._running.values())
        hidden = [column for column in WIDTHS if column not in columns]
        lines = [f"not shown on a narrow terminal: {', '.join(hidden)}"] if hidden else []
        lines.append(f"{self.summary()}, {clock} since the start" if has_begun else f"{self.phase} {clock}")
        return Group(table, *lines, self._bar)


def make_progress(num_children: int, console: Console, *, best_by_accuracy: bool = False) -> SearchProgress:
    """The live table on a terminal, plain lines if the output goes to a file or a pipe."""
    kind = LiveTable if console.is_terminal else PlainLines
    return kind(num_children, console, best_by_accuracy=best_by_accuracy)


def fitting_columns(width: int) -> list[str]:
    """The columns of the live table that fit into `width` characters."""
    columns = list(WIDTHS)
    for dispensable in DISPENSABLE:
        if sum(WIDTHS[column] + COLUMN_GAP for column in columns) - COLUMN_GAP <= width:
            break
        columns.remove(dispensable)
    return columns


def _add_row(
    table: Table, columns: Sequence[str], record: ChildRecord, status: str, report: EpochReport | None
) -> None:
    result = record.result
    last = report or (result.curve[-1] if result and result.curve else None)
    seconds = result.seconds if result else (report.seconds if report else None)
    cells = {
        "child": str(record.id),
        "arch_id": record.proposed.arch_id,
        "status": result.status if result else status,
        "epoch": str(last.epoch) if last else "",
        "accuracy": _number(result.accuracy if result else last.accuracy if last else None) or "",
        "parameters": f"{record.proposed.parameters:,}" if record.proposed.parameters is not None else "",
        "seconds": f"{seconds:.1f}" if seconds is not None else "",
    }
    table.add_row(
        *(cells[column] for column in columns),
        style="dim" if not result else "red" if result.status == "failed" else None,
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
