"""What a search returns, as text and as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynas.child import ChildResult
from raynas.programs.search.recipes import search_config
from raynas.programs.search.result import SearchResult
from raynas.run.leaderboard import LeaderboardEntry, leaderboard
from raynas.run.run import Run
from tests.run.builders import TINY, completed, failed, infeasible, make_run


def finish(run: Run, *results: ChildResult) -> None:
    for result in results:
        child = run.next_child()
        assert child is not None
        run.finish(child.id, result)


@pytest.fixture
def result() -> SearchResult:
    run = make_run(num_children=3)
    finish(run, completed(0.25), infeasible(), failed("out of memory"), completed(0.75))
    entries = leaderboard(run.records.values())
    return SearchResult(
        leaderboard=entries,
        best=run.child(entries[0].child).genotype,
        config=search_config(settings={"network": {"filters": 4}}),
        run_folder=Path("runs/mine"),
        mlflow_run_id="4f1e",
        mlflow_uri="sqlite:///runs/mlflow.db",
        records=list(run.records.values()),
        decisions=tuple(TINY.decisions),
    )


def test_it_is_printed_on_a_few_lines_with_what_is_asked_first(result):
    assert repr(result).splitlines() == [
        "SearchResult(",
        "  folder:   runs/mine",
        f"  best:     {result.best.arch_id}, accuracy 0.7500",
        "  children: 3, and 1 infeasible proposals",
        "  MLflow:   run 4f1e at sqlite:///runs/mlflow.db",
        ")",
    ]


def test_a_notebook_shows_the_leaderboard_and_the_best_cell(result):
    html = result._repr_html_()
    assert "<td>runs/mine</td>" in html and "<td>0.7500</td>" in html
    assert result.best._repr_svg_() in html
    assert result.leaderboard._repr_html_().count("<tr>") == 1 + len(result.leaderboard)
    assert "and 2 more" in result.leaderboard.to_html(top=1)


def test_its_table_is_the_leaderboard_with_the_settings_of_the_run(result):
    table = result.to_dataframe()
    num_fields = len(LeaderboardEntry.model_fields)
    assert list(table.columns[:num_fields]) == list(LeaderboardEntry.model_fields)
    assert set(table["network.filters"]) == {4} and set(table["strategy.name"]) == {"ppo"}
    assert list(table["child"]) == [entry.child for entry in result.leaderboard]
    assert list(table["accuracy"][:2]) == [0.75, 0.25]


def test_the_table_of_records_has_every_proposal_with_its_decisions(result):
    table = result.records_dataframe()
    assert list(table["child"]) == [0, 1, 2, 3]
    assert list(table["status"]) == ["completed", "infeasible", "failed", "completed"]
    assert table["reason"][2] == "out of memory"
    for record, (_, row) in zip(result.records, table.iterrows(), strict=True):
        chosen = [row[decision.name] for decision in result.decisions]
        assert chosen == [
            d.choices[action] for d, action in zip(TINY.decisions, record.proposed.actions, strict=True)
        ]
