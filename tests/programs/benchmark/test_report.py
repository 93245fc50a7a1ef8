"""The report of a benchmark: its statistics, its two texts, and the runs as Parquet."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.errors import UsageError
from raynas.programs.benchmark import BenchmarkSetting, Contender, SeedResult, benchmark, simulate
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.report import Study, with_baselines, write_benchmark_report
from raynas.programs.benchmark.report.statistics import holm, mean_interval, rank_tests, regret_curve
from raynas.programs.report.folder import new_folder
from tests.programs.benchmark.small_tables import Scripted, table_of


@pytest.fixture(scope="module")
def study(whole_table, tmp_path_factory) -> Study:
    path = tmp_path_factory.mktemp("table") / "cells <&>.csv"
    path.write_text("any")
    recipe = BenchmarkRecipe(
        table=path,
        space="nasbench201",
        signal="valid",
        result="test",
        cost="seconds",
        cost_scale=0.5,
        budget=60,
    )
    contenders = with_baselines([Contender("evolution"), Contender("local_search")])
    setting, seeds = BenchmarkSetting(60, workers=2), range(6)
    seed_results = benchmark(contenders, whole_table, setting, seeds=seeds)
    return Study(
        recipe, whole_table, setting, contenders, seeds, seed_results, 1.5, 1, "raynas benchmark --x 'y z'"
    )


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "new"
    new_folder(folder)
    write_benchmark_report(folder, study)
    return folder


def test_random_search_is_added_where_it_is_not_among_them():
    mine = [Contender("evolution"), Contender("random", label="luck")]
    assert with_baselines(mine) == mine
    assert [contender.label for contender in with_baselines(mine[:1])] == ["evolution", "random"]
    with pytest.raises(UsageError, match="'one_draw' is what a report calls"):
        with_baselines([Contender("ppo", label="one_draw")])


def test_holms_correction_is_that_of_his_example():
    """Holm 1979: of four, the smallest times four, the next times three, and none below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_a_corrected_p_is_no_smaller_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert list(np.array(corrected)[order]) == sorted(corrected)


def test_the_better_of_two_is_the_one_that_ends_higher_more_often():
    results = {"low": [0.1, 0.2, 0.3, 0.4], "high": [0.3, 0.5, 0.6, 0.7]}
    (test,) = rank_tests(results)
    assert (test.better, test.other) == ("high", "low")
    # 14 of 16 pairs are won, and one is drawn.
    assert test.superiority == pytest.approx(14.5 / 16)
    assert test.difference == pytest.approx(0.275)
    assert test.p == test.corrected_p < 0.1


def test_the_interval_of_a_mean_is_students():
    low, high = mean_interval([1.0, 2.0, 3.0])
    # 4.3027 is the quantile of two degrees of freedom.
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert mean_interval([0.5]) == (0.5, 0.5)


def test_a_regret_curve_begins_when_all_seeds_have_a_child_and_falls_with_their_best():
    table = table_of([1.0, 2.0, 4.0], signal=[0.1, 0.2, 0.3].__getitem__, result=[0.5, 0.7, 0.9].__getitem__)
    runs = [simulate(Scripted(numbers), table, budget=8) for numbers in ([0, 1, 2], [1, 2])]
    seed_results = [SeedResult("x", seed, run, 0.0) for seed, run in enumerate(runs)]
    curve = regret_curve(seed_results, best_result=0.9, budget=8)
    assert (curve.seconds_T[0], curve.seconds_T[-1]) == (2.0, 8.0)
    # At second 2 they have 0.5 and 0.7, at 3 both 0.7, at 6 one has 0.9, at 7 both.
    for second, regret in ((2.0, 0.3), (3.0, 0.2), (6.0, 0.1), (7.0, 0.0)):
        place = int(np.searchsorted(curve.seconds_T, second))
        assert curve.mean_T[place] == pytest.approx(regret)
    assert (curve.low_T <= curve.mean_T).all() and (curve.mean_T <= curve.high_T).all()


def test_both_texts_name_every_strategy_the_setting_and_the_baselines(folder, study):
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text().replace("\\_", "_")
        for word in ("evolution", "local_search", "one_draw", "Holm", "60 simulated seconds", "2 workers"):
            assert word in text, (name, word)
        for version in ("raynas 0", "numpy", "scipy", "Python 3"):
            assert version in text, (name, version)


def test_the_html_is_whole_in_itself_and_its_text_is_escaped(folder):
    text = (folder / "report.html").read_text()
    assert text.count("<img ") == 2
    assert set(re.findall(r'src="(.{26})', text)) == {"data:image/svg+xml;base64,"}
    assert not re.search(r'(?:src|href)="(?!data:|#section-)', text)
    assert "cells &lt;&amp;&gt;.csv" in text and "cells <" not in text


def test_the_markdowns_pictures_lie_beside_it(folder):
    pictures = re.findall(r"\]\((.*?)\)", (folder / "report.md").read_text())
    assert pictures == ["pictures/results.svg", "pictures/regret.svg"]
    assert all((folder / picture).read_bytes().startswith(b"<svg") for picture in pictures)


def test_every_run_and_every_improvement_is_in_the_parquet_files(folder, study):
    runs = pq.read_table(folder / "runs.parquet")
    assert runs.num_rows == 4 * 6
    by_run = {(row["strategy"], row["seed"]): row for row in runs.to_pylist()}
    for seed_result in study.seed_results:
        row = by_run[seed_result.label, seed_result.seed]
        assert (row["result"], row["children"]) == (seed_result.best.result, seed_result.run.num_children)
        assert row["architecture"] in study.table.rows
    assert all(row["children"] == 1 for (label, _), row in by_run.items() if label == "one_draw")
    facts = json.loads(runs.schema.metadata[b"raynas"])
    assert facts["command"] == study.command
    trajectories = pq.read_table(folder / "trajectories.parquet")
    expected = sum(len(seed_result.run.trajectory) for seed_result in study.seed_results) + 6
    assert trajectories.num_rows == expected


def test_with_several_budgets_it_has_the_rank_of_each_strategy_after_each(whole_table, study, tmp_path):
    setting = replace(study.setting, smaller_budgets=(20,))
    seed_results = benchmark(study.contenders, whole_table, setting, seeds=range(2))
    write_benchmark_report(
        tmp_path, replace(study, setting=setting, seeds=range(2), seed_results=seed_results)
    )
    text = (tmp_path / "report.md").read_text()
    section = text[text.index("## Results after each budget") : text.index("## Regret against time")]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")]
    rank = [cell.strip() for cell in rows[0]].index("rank")
    for budget in ("20", "60"):
        ranks = [float(row[rank]) for row in rows[2:] if row[2].strip() == budget]
        assert sum(ranks) == pytest.approx(6, abs=0.02)
    assert "ranks" in section[: section.index("|")]


def test_a_single_seed_and_a_single_strategy_make_a_report_too(whole_table, study, tmp_path):
    contenders, seeds = [Contender("random")], [3]
    seed_results = benchmark(contenders, whole_table, study.setting, seeds=seeds)
    write_benchmark_report(
        tmp_path,
        Study(
            study.recipe,
            whole_table,
            study.setting,
            contenders,
            seeds,
            seed_results,
            1.0,
            1,
            "raynas benchmark",
        ),
    )
    assert "Random search alone took part." in (tmp_path / "report.md").read_text()


def test_a_command_that_is_no_text_is_written_all_the_same(whole_table, study, tmp_path):
    contenders, seeds = [Contender("random")], [3]
    seed_results = benchmark(contenders, whole_table, study.setting, seeds=seeds)
    folder = tmp_path / "new"
    new_folder(folder)
    typed = "raynas benchmark --report 'caf\udce9'"
    write_benchmark_report(
        folder,
        Study(study.recipe, whole_table, study.setting, contenders, seeds, seed_results, 1.0, 1, typed),
    )
    assert "--report 'caf\\udce9'" in (folder / "report.md").read_text()
    facts = json.loads(pq.read_schema(folder / "runs.parquet").metadata[b"raynas"])
    assert facts["command"] == typed
