"""The results that a benchmark keeps on disk: exact, validated, and of this benchmark alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raynas.errors import RunFolderError, SearchFailed
from raynas.files import LineFile
from raynas.programs.benchmark import ArchTable, BenchmarkSetting, Contender, SeedResult, benchmark, simulate
from raynas.programs.benchmark.kept import RESULTS_FILE, KeptResults, begun
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.simulate import simulate_budgets

SETTING = BenchmarkSetting(60, workers=2, smaller_budgets=(20, 40))
CONTENDERS = [Contender("random"), Contender("evolution", {"population": 5})]


@pytest.fixture
def recipe(tmp_path: Path) -> BenchmarkRecipe:
    (tmp_path / "cells.csv").write_text("any")
    columns: dict[str, Any] = {"signal": "valid", "result": "test", "cost": "seconds"}
    return BenchmarkRecipe(table=tmp_path / "cells.csv", space="nasbench201", budget=60, **columns)


@pytest.fixture(scope="module")
def results(whole_table: ArchTable) -> list[SeedResult]:
    return benchmark(CONTENDERS, whole_table, SETTING, seeds=range(3))


@pytest.fixture
def folder(
    tmp_path: Path, recipe: BenchmarkRecipe, whole_table: ArchTable, results: list[SeedResult]
) -> Path:
    """A benchmark that was cut off after four of its six runs."""
    (tmp_path / "r").mkdir()
    with KeptResults.create(tmp_path / "r", begun(recipe, whole_table, SETTING, CONTENDERS)) as kept:
        for result in results[:4]:
            kept.append(result)
    return tmp_path / "r"


def reopened(folder: Path, recipe: BenchmarkRecipe, table: ArchTable, **changes: Any) -> list[SeedResult]:
    """What a process finds that benchmarks the same, or with changes."""
    setting, contenders = changes.get("setting", SETTING), changes.get("contenders", CONTENDERS)
    with KeptResults.reopen(folder, begun(recipe, table, setting, contenders), table) as kept:
        return list(kept.seed_results)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("equal_cells", ["retrain", "reuse"])
@pytest.mark.parametrize("strategy", ["random", "evolution", "local_search"])
def test_s13_after_a_smaller_budget_a_search_is_where_a_search_of_that_budget_ends(
    whole_table, strategy, workers, equal_cells
):
    contender = Contender(strategy)
    words: dict[str, Any] = {"workers": workers, "equal_cells": equal_cells}
    strategy_of = contender.make
    budgets = [80.0, 10.0, 33.5]
    together = simulate_budgets(strategy_of(whole_table.space, seed=1), whole_table, budgets=budgets, **words)
    alone = [
        simulate(strategy_of(whole_table.space, seed=1), whole_table, budget=budget, **words)
        for budget in sorted(budgets)
    ]
    assert list(together) == alone


def test_s13_kept_results_are_those_that_were_computed_to_the_last_bit(folder, recipe, whole_table, results):
    assert reopened(folder, recipe, whole_table) == results[:4]
    assert [len(result.earlier) for result in results] == [2] * 6


@pytest.mark.slow
def test_s13_runs_that_are_done_are_not_repeated_and_the_results_are_those_of_one_go(
    folder, recipe, whole_table, results
):
    new: list[SeedResult] = []
    done = reopened(folder, recipe, whole_table)
    found = benchmark(
        CONTENDERS, whole_table, SETTING, seeds=range(3), done=done, on_result=new.append, processes=2
    )
    assert [(one.label, one.seed, one.run) for one in found] == [
        (one.label, one.seed, one.run) for one in results
    ]
    assert len(new) == 2


def test_s13_a_line_that_was_cut_off_is_done_again(folder, recipe, whole_table, results):
    path = folder / RESULTS_FILE
    path.write_bytes(path.read_bytes()[:-30])
    assert reopened(folder, recipe, whole_table) == results[:3]
    with KeptResults.reopen(folder, begun(recipe, whole_table, SETTING, CONTENDERS), whole_table) as kept:
        kept.append(results[3])
    assert reopened(folder, recipe, whole_table) == results[:4]


def changed(line: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**line, **values}


DAMAGES: dict[str, Any] = {
    "no JSON": lambda line: "oh",
    "a list": lambda line: [line],
    "empty": lambda line: {},
    "of another strategy": lambda line: changed(line, label="ego"),
    "of a negative seed": lambda line: changed(line, seed=-1),
    "a number as text": lambda line: changed(line, seed="0"),
    "a second time": lambda line: changed(line, seed=0, label="random"),
    "without a budget": lambda line: changed(line, earlier=line["earlier"][1:]),
    "a better score": lambda line: changed(line, run=changed(line["run"], trajectory=better(line))),
    "no row": lambda line: changed(line, run=changed(line["run"], trajectory=better(line, name=""))),
    "NaN": lambda line: changed(line, run=changed(line["run"], trajectory=better(line, time=float("nan")))),
    "too late": lambda line: changed(line, run=changed(line["run"], trajectory=better(line, time=61.0))),
    "more cells than children": lambda line: changed(line, run=changed(line["run"], num_distinct=999)),
}  # fmt: skip


def better(line: dict[str, Any], **values: Any) -> list[Any]:
    last = line["run"]["trajectory"][-1]
    return [*line["run"]["trajectory"][:-1], changed(last, **(values or {"result": last["result"] + 0.01}))]


@pytest.mark.parametrize("damage", DAMAGES)
def test_s13_a_damaged_line_is_named_and_nothing_is_changed(folder, recipe, whole_table, damage):
    path = folder / RESULTS_FILE
    lines = path.read_text().splitlines()
    new = DAMAGES[damage](json.loads(lines[3]))
    lines[3] = new if isinstance(new, str) else json.dumps(new)
    path.write_text("\n".join(lines) + "\n")
    before = path.read_bytes()
    with pytest.raises(RunFolderError, match=r"results\.jsonl, line 4: "):
        reopened(folder, recipe, whole_table)
    assert path.read_bytes() == before


@pytest.mark.parametrize("first", ["", "{}", '{"kind": "started"}', "\x00"])
def test_s13_a_file_that_begins_otherwise_is_refused(folder, recipe, whole_table, first):
    path = folder / RESULTS_FILE
    path.write_text(f"{first}\n" + path.read_text().partition("\n")[2])
    with pytest.raises(RunFolderError, match=r"results\.jsonl, line 1: "):
        reopened(folder, recipe, whole_table)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"setting": replace(SETTING, budget=61)}, "budget"),
        ({"setting": replace(SETTING, smaller_budgets=())}, "budget"),
        ({"setting": replace(SETTING, workers=1)}, "workers"),
        ({"setting": replace(SETTING, equal_cells="reuse")}, "equal_cells"),
        ({"contenders": CONTENDERS[:1]}, "strategies.evolution"),
        ({"contenders": [*CONTENDERS, Contender("local_search")]}, "strategies.local_search"),
        ({"contenders": [CONTENDERS[0], Contender("evolution")]}, "strategies.evolution.population"),
        ({"contenders": [Contender("evolution", label="random"), CONTENDERS[1]]}, "strategies.random.name"),
    ],
)
def test_s13_other_settings_are_refused_by_name(folder, recipe, whole_table, changes, named):
    before = (folder / RESULTS_FILE).read_bytes()
    with pytest.raises(RunFolderError, match=rf"was begun with {named}[. ]"):
        reopened(folder, recipe, whole_table, **changes)
    assert (folder / RESULTS_FILE).read_bytes() == before


@pytest.mark.parametrize("field", ["signal", "result", "cost", "arch_column"])
def test_s13_other_columns_are_refused_by_name(folder, recipe, whole_table, field):
    with pytest.raises(RunFolderError, match=f"was begun with columns.{field} = "):
        reopened(folder, recipe.model_copy(update={field: "other"}), whole_table)


def test_s13_a_table_may_have_moved_and_must_be_the_same(folder, recipe, whole_table, results):
    there = recipe.table.rename(recipe.table.with_name("moved ü.csv"))
    recipe = recipe.model_copy(update={"table": there})
    assert reopened(folder, recipe, whole_table) == results[:4]
    there.write_text("other")
    with pytest.raises(RunFolderError, match="was begun with another table"):
        reopened(folder, recipe, whole_table)


def test_s13_two_processes_do_not_write_one_file(folder, recipe, whole_table):
    with LineFile(folder / RESULTS_FILE), pytest.raises(RunFolderError, match="written by another process"):
        reopened(folder, recipe, whole_table)


def test_s13_where_nothing_was_begun_nothing_is_continued(tmp_path, recipe, whole_table):
    with pytest.raises(RunFolderError, match="There is no benchmark to resume"):
        reopened(tmp_path, recipe, whole_table)


def test_s13_a_full_disk_keeps_what_was_there(folder, recipe, whole_table, results, monkeypatch):
    before = (folder / RESULTS_FILE).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with KeptResults.reopen(folder, begun(recipe, whole_table, SETTING, CONTENDERS), whole_table) as kept:
        monkeypatch.setattr(LineFile, "append", full)
        with pytest.raises(SearchFailed, match=r"No space left on device\. What it holds is intact"):
            kept.append(results[4])
    assert (folder / RESULTS_FILE).read_bytes() == before
