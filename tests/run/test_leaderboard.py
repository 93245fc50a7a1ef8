"""The leaderboard: best first, and the same in every format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.child import ChildResult
from raynas.run.leaderboard import LeaderboardEntry, leaderboard, render
from tests.run.builders import completed, failed, infeasible, record, report

RECORDS = [
    record(0, failed("out of memory | GPU\nsee the log")),
    record(1, completed(0.5), reward=0.5, parameters=100),
    record(2),
    record(3, completed(0.75), reward=0.75, parameters=None),
    record(4, completed(0.5), reward=0.5, parameters=20),
    record(5, ChildResult(status="stopped", accuracy=0.25, curve=(report(1), report(2))), reward=0.25),
]


def ids(entries: list[LeaderboardEntry]) -> list[int]:
    return [entry.child for entry in entries]


def test_the_best_reward_is_first_then_fewer_parameters_and_no_reward_is_last():
    assert ids(leaderboard(RECORDS)) == [3, 4, 1, 5, 0, 2]


def test_unknown_parameters_come_after_known_ones_and_then_the_older_child():
    tied = [
        record(id, completed(), reward=0.5, parameters=size) for id, size in enumerate([None, 9, None, 9])
    ]
    assert ids(leaderboard(tied)) == [1, 3, 0, 2]


def test_a_negative_reward_is_better_than_none():
    assert ids(leaderboard([record(0, failed()), record(1, completed(), reward=-3.0)])) == [1, 0]


@given(st.permutations(RECORDS))
def test_the_order_does_not_depend_on_the_order_of_finishing(records):
    assert leaderboard(records) == leaderboard(RECORDS)


def test_an_entry_says_how_its_child_ended():
    stopped, failure, unfinished = (leaderboard([RECORDS[index]])[0] for index in (5, 0, 2))
    assert (stopped.status, stopped.accuracy, stopped.epochs) == ("stopped", 0.25, 2)
    assert (failure.status, failure.accuracy, failure.reward) == ("failed", None, None)
    assert failure.reason.startswith("out of memory")
    assert (unfinished.status, unfinished.seconds, unfinished.epochs) == ("unfinished", None, 0)


def test_what_its_driver_left_in_the_middle_is_interrupted():
    assert leaderboard([dataclasses.replace(RECORDS[2], is_interrupted=True)])[0].status == "interrupted"


def test_a_child_that_was_refused_is_left_out():
    assert leaderboard([*RECORDS, record(6, infeasible())]) == leaderboard(RECORDS)


def test_json_holds_every_field():
    entries = leaderboard(RECORDS)
    assert [LeaderboardEntry(**row) for row in json.loads(render(entries, "json"))] == entries


def test_csv_holds_every_field_and_an_empty_cell_for_none():
    entries = leaderboard(RECORDS)
    rows = list(csv.DictReader(io.StringIO(render(entries, "csv"))))
    assert rows == [
        {key: "" if value is None else str(value) for key, value in entry.model_dump().items()}
        for entry in entries
    ]


def test_markdown_is_one_line_per_entry_whatever_the_reason_says():
    entries = leaderboard(RECORDS)
    lines = render(entries, "md").splitlines()
    num_columns = len(LeaderboardEntry.model_fields)
    assert len(lines) == 2 + len(entries)
    assert {line.replace("\\|", "").count("|") for line in lines} == {num_columns + 1}
    assert "out of memory \\| GPU see the log" in lines[-2]


@pytest.mark.parametrize("format", ["json", "csv", "md"])
def test_a_run_without_children_has_an_empty_leaderboard(format):
    text = render(leaderboard([]), format)
    assert not text.endswith("\n")
    assert "completed" not in text
