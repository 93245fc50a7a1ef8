"""What a search that Python started shows of its progress."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from raynas.programs.search.shown import CountedChildren, NotebookLine, TerminalBar, shown_progress
from tests.run.builders import completed, failed, make_run


def search_shown_by(listener: CountedChildren) -> None:
    """Two children, the first of which has a score."""
    with listener:
        listener.noted("Starting <the> workers ...")
        run = make_run(num_children=2, listeners=[listener])
        for result in (completed(0.25), failed("out of memory")):
            child = run.next_child()
            assert child is not None
            run.finish(child.id, result)


def test_a_terminal_gets_a_bar_with_phase_count_and_best():
    file = io.StringIO()
    search_shown_by(TerminalBar(2, Console(file=file, force_terminal=True, width=100)))
    assert "2/2" in file.getvalue() and "best accuracy 0.2500" in file.getvalue()


def test_a_notebook_gets_one_line_that_is_replaced(monkeypatch):
    lines: list[str] = []

    def display(line: str, *, display_id: bool) -> SimpleNamespace:
        assert display_id and not lines
        lines.append(line)
        return SimpleNamespace(update=lines.append)

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=display))
    search_shown_by(NotebookLine(2))
    assert "Starting &lt;the&gt; workers" in lines[1]
    assert lines[-1].endswith("2 of 2 children. best accuracy 0.2500")


@pytest.mark.parametrize(("is_asked", "number"), [(None, 0), (False, 0), (True, 1)])
def test_nothing_is_shown_where_nobody_looks_unless_asked(is_asked, number, capsys):
    with shown_progress(3, is_asked=is_asked) as listeners:
        assert len(listeners) == number
