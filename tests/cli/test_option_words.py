"""Messages say the option that was typed, and what is kept of a run that is resumed."""

from __future__ import annotations

import io

import pytest

from raynas.cli.app import in_options
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.leaderboard import print_leaderboard
from raynas.cli.terminal.search import _what_is_kept
from raynas.config import parse_assignments
from raynas.errors import InvalidConfig
from raynas.programs.search.recipes import check_search_words
from raynas.run.leaderboard import leaderboard
from raynas.run.recorded import RecordedRun
from tests.programs.report.journals import write_journal


@pytest.mark.parametrize(
    ("message", "given", "expected"),
    [
        ("data.source = 'x': it can't be read.", ["data"], "--data 'x': it can't be read."),
        ("set data.source=DIR, or data.sources", ["data"], "set --data=DIR, or data.sources"),
        ("data.source = 'x'", ["seed"], "data.source = 'x'"),
        ("children = 0: 3 children are done", ["children"], "--children 0: 3 children are done"),
        ("workers.at_least = 3", ["min_workers"], "--min-workers 3"),
    ],
)
def test_a_field_is_called_by_the_option_that_was_typed(message, given, expected):
    assert in_options(message, given) == expected


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("workers.gpus=x", "workers.gpus = 'x': Input should be a valid number or 'auto'."),
        ("workers.count=x", "workers.count = 'x': Input should be a valid integer or 'auto'."),
        ("child.learning_rate=x", "child.learning_rate = 'x': Input should be a valid number."),
    ],
)
def test_a_value_of_another_kind_is_refused_in_plain_words(assignment, message):
    with pytest.raises(InvalidConfig) as raised:
        check_search_words("small", parse_assignments([assignment]))
    assert str(raised.value) == message


def test_a_resume_says_what_is_kept_and_what_is_trained_again(tmp_path):
    run = RecordedRun.read(write_journal(tmp_path, 6, num_unfinished=2).parent)
    ended = [record for record in run.records.values() if record.finished is not None]
    text = _what_is_kept(run, len(ended), num_children=len(run.records) + 3)
    again = ", ".join(str(record.id) for record in run.records.values() if record.finished is None)
    assert f"{len(ended)} finished children are kept" in text
    assert f"2 unfinished ({again}) are trained again, and 3 are new" in text


def test_a_narrow_leaderboard_says_what_it_leaves_out(tmp_path):
    run = RecordedRun.read(write_journal(tmp_path, 6).parent)
    console = output_console()
    console.file, console.width = io.StringIO(), 50
    print_leaderboard(leaderboard(run.records.values()), console)
    assert "not shown on a narrow terminal: params, mult-adds, seconds\n" in console.file.getvalue()
