"""`raynas.benchmark`: a benchmark in one call."""

from __future__ import annotations

import csv
from typing import Any

import pytest

import raynas
from raynas.errors import UnknownName
from raynas.strategies.random_search import RandomSearch
from tests.programs.benchmark.small_tables import SPACE, actions_of


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "valid", "test", "time"])
        for number in range(5**6):
            writer.writerow([SPACE.to_text(SPACE.decode(actions_of(number))), number / 20_000, 0.5, 1.0])
    return path


def test_it_gives_a_summary_per_budget_and_strategy(table):
    words: dict[str, Any] = {
        "space": "nasbench201",
        "signal": "valid",
        "result": "test",
        "cost": "time",
        "seeds": 2,
    }
    found = raynas.benchmark(
        table,
        **words,
        budget=[20, 10],
        strategies=[RandomSearch, "small=evolution"],
        settings={"small.population": 4},
    )
    assert [(one.budget, one.strategy) for one in found] == [
        (10, "random"),
        (10, "small"),
        (20, "random"),
        (20, "small"),
    ]
    assert all((one.n, one.mean) == (2, 0.5) for one in found)
    with pytest.raises(UnknownName, match="evolutoin"):
        raynas.benchmark(table, **words, budget=10, strategies=["evolutoin"])
