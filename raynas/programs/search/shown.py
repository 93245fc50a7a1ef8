"""The progress of a search that Python started: a bar on a terminal, a line in a notebook, nothing elsewhere.

The command line has a progress of its own, with a table of children.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from raynas.child import Child
from raynas.run.records import ChildRecord, RunListener


class CountedChildren(RunListener):
    """Counts the children that have ended and keeps the best accuracy; subclasses show both in `_show`."""

    def __init__(self, num_children: int) -> None:
        self.num_children = num_children
        self.num_done = 0
        self.best: float | None = None
        self.phase = "Reading the data ..."

    def __enter__(self) -> CountedChildren:
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the last state where it is shown."""

    def noted(self, text: str) -> None:
        self.phase = text
        self._show()

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        self.phase = "Searching"
        self._show()

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        self.num_done += 1
        accuracy = record.result.accuracy if record.result else None
        if accuracy is not None and (self.best is None or accuracy > self.best):
            self.best = accuracy
        self._show()

    @property
    def text(self) -> str:
        return self.phase if self.best is None else f"best accuracy {self.best:.4f}"

    def _show(self) -> None:
        raise NotImplementedError


class TerminalBar(CountedChildren):
    """A bar with the time since the start."""

    def __init__(self, num_children: int, console: Console) -> None:
        super().__init__(num_children)
        self._bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
        )
        self._task = self._bar.add_task("", total=num_children)

    def __enter__(self) -> CountedChildren:
        self._bar.start()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self.num_done, description=self.text)


class NotebookLine(CountedChildren):
    """A line in the output of a notebook's cell, which is replaced after each event."""

    def __init__(self, num_children: int) -> None:
        super().__init__(num_children)
        self._handle: Any = None

    def _show(self) -> None:
        # Part of every notebook's kernel, and needed nowhere else.
        from IPython.display import HTML, display

        line = HTML(
            f'<progress value="{self.num_done}" max="{self.num_children}"></progress> '
            f"{self.num_done} of {self.num_children} children. {escape(self.text)}"
        )
        if self._handle is None:
            self._handle = display(line, display_id=True)
        else:
            self._handle.update(line)


@contextmanager
def shown_progress(num_children: int, *, is_asked: bool | None) -> Iterator[list[RunListener]]:
    """The listener that shows progress within the block, or none.

    Args:
        is_asked: whether to show it; None means in a notebook and on a terminal.
    """
    console = Console(stderr=True)
    if is_asked is False or (is_asked is None and not (console.is_jupyter or console.is_terminal)):
        yield []
        return
    with NotebookLine(num_children) if console.is_jupyter else TerminalBar(num_children, console) as shown:
        yield [shown]
