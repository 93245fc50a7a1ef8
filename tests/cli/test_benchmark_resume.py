"""`raynas benchmark`: what it says while it runs, and how it goes on after it was cut off."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.cli.terminal.benchmark_progress import BenchmarkProgress, LoggedProgress, ShownProgress
from raynas.programs.benchmark import Improvement, SeedResult, SimulatedRun
from raynas.programs.benchmark.kept import RESULTS_FILE, KeptResults
from tests.programs.benchmark.small_tables import SPACE, actions_of


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    numbers = range(300)
    content = {
        "arch": [SPACE.to_text(SPACE.decode(actions_of(number))) for number in numbers],
        "valid": [number % 97 / 100 for number in numbers],
        "test": [number % 89 / 100 for number in numbers],
        "seconds": [1 + number % 3 for number in numbers],
    }
    path = tmp_path_factory.mktemp("tables") / "cells.parquet"
    pq.write_table(pa.table(content), path)
    return path


def call(table: Path, *words: object) -> tuple[int, str, str]:
    columns = "--space nasbench201 --signal valid --result test --cost seconds --strategies random,evolution"
    options = ["--table", table, *columns.split(), "--budget", 20, "--processes", 1, *words]
    result = CliRunner().invoke(app, ["benchmark", *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def summaries(text: str) -> list[dict[str, Any]]:
    """What is printed as JSON, without the processor time, which no two runs share."""
    return [{key: value for key, value in one.items() if key != "seconds"} for one in json.loads(text)]


def after(count: int, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Acts when so many runs are kept or shown."""
    took, left = BenchmarkProgress.took, iter(range(count - 1))

    def counted(self: BenchmarkProgress, seed_result: SeedResult) -> None:
        took(self, seed_result)
        if next(left, None) is None:
            act()

    monkeypatch.setattr(BenchmarkProgress, "took", counted)


def interrupt(number: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    # The process that runs the tests goes on.
    monkeypatch.setattr("raynas.run.interruption._end_by_force", lambda code, last_words: None)
    return lambda: os.kill(os.getpid(), number)


def test_s13_in_a_log_each_strategy_has_a_line_with_its_mean(table):
    code, out, err = call(table, "--seeds", 3, "--format", "json")
    assert code == 0
    means = {one["strategy"]: one["mean"] for one in json.loads(out)}
    assert [line for line in err.splitlines() if "mean=" in line] == [
        f"[3/3] random  mean={means['random']:.4f}",
        f"[3/3] evolution  mean={means['evolution']:.4f}",
    ]


@pytest.mark.parametrize(
    ("number", "exit_code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_s13_an_interrupted_benchmark_goes_on_and_gives_the_table_of_an_undisturbed_one(
    table, tmp_path, monkeypatch, number, exit_code, name
):
    words = ("--seeds", 4, "--budget", 10, "--format", "json", "--report")
    with monkeypatch.context() as patch:
        after(3, interrupt(number, patch), patch)
        code, out, err = call(table, *words, tmp_path / "r ü")
    assert (code, out) == (exit_code, "")
    assert f"Interrupted by {name}. Finished runs are kept in {tmp_path / 'r ü'}. Continue with" in err
    assert "--resume" in err
    assert "[2/4] random  mean=" in err and "[1/4] evolution  mean=" in err
    assert len((tmp_path / "r ü" / RESULTS_FILE).read_bytes().splitlines()) == 1 + 3
    simulated: list[SeedResult] = []
    with monkeypatch.context() as patch:
        append = KeptResults.append

        def noted(self: KeptResults, seed_result: SeedResult) -> None:
            simulated.append(seed_result)
            append(self, seed_result)

        patch.setattr(KeptResults, "append", noted)
        code, out, err = call(table, *words, tmp_path / "r ü", "--resume")
    assert code == 0
    assert len(simulated) == 8 - 3
    whole = call(table, *words, tmp_path / "whole")[1]
    assert summaries(out) == summaries(whole)
    assert [(one["strategy"], one["budget"]) for one in summaries(out)] == [
        ("random", 10), ("evolution", 10), ("random", 20), ("evolution", 20)
    ]  # fmt: skip
    for name in ("runs", "trajectories"):
        rows = [
            pq.read_table(tmp_path / folder / f"{name}.parquet").to_pylist() for folder in ("r ü", "whole")
        ]
        for row in rows[0] + rows[1]:
            row.pop("cpu_seconds", None)
        assert rows[0] == rows[1]
    assert "3 runs, which were done before a resume" in (tmp_path / "r ü" / "report.md").read_text()


def test_s13_without_a_folder_an_interruption_says_that_nothing_is_kept(table, monkeypatch):
    after(3, interrupt(signal.SIGINT, monkeypatch), monkeypatch)
    code, out, err = call(table, "--seeds", 4)
    assert (code, out) == (130, "")
    assert "Nothing is kept: with --report FOLDER" in err
    assert "[2/4] random  mean=" in err


def test_s13_a_finished_benchmark_is_shown_again_and_gets_more_seeds(table, tmp_path):
    words = ("--format", "json", "--report", tmp_path / "r")
    first = call(table, "--seeds", 2, *words)[1]
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir() if path.is_file()}
    assert call(table, "--seeds", 2, *words, "--resume")[:2] == (0, first)
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir() if path.is_file()} == before
    code, out, _ = call(table, "--seeds", 5, *words, "--resume")
    assert code == 0
    assert summaries(out) == summaries(call(table, "--seeds", 5, "--format", "json")[1])
    assert pq.read_table(tmp_path / "r" / "runs.parquet").num_rows == 3 * 5
    code, _, err = call(table, "--seeds", 4, *words, "--resume")
    assert code == 2
    assert "has results of the seed 4, and the seeds 0 to 3 are asked for" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", 30], "was begun with budget = [20.0], not [20.0, 30.0]"),
        (["--workers", 2], "was begun with workers = 1, not 2"),
        (["--equal-cells", "reuse"], "was begun with equal_cells = 'retrain', not 'reuse'"),
        (["--set", "evolution.sample=2"], "was begun with strategies.evolution.sample = 3, not 2"),
        (["--strategies", "random"], "was begun with strategies.evolution = "),
        (["--result", "valid"], "was begun with columns.result = 'test', not 'valid'"),
        (["--cost-scale", "0.5"], "was begun with columns.cost_scale = 1.0, not 0.5"),
    ],
)
def test_s13_other_settings_are_refused_at_a_resume(table, tmp_path, words, message):
    folder = ("--report", tmp_path / "r")
    assert call(table, "--seeds", 1, *folder)[0] == 0
    before = (tmp_path / "r" / RESULTS_FILE).read_bytes()
    code, out, err = call(table, "--seeds", 1, *folder, "--resume", *words)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert (tmp_path / "r" / RESULTS_FILE).read_bytes() == before


def test_s13_what_can_not_be_resumed_is_said(table, tmp_path):
    code, _, err = call(table, "--resume")
    assert code == 2
    assert "--resume needs the folder" in err
    code, _, err = call(table, "--resume", "--report", tmp_path)
    assert code == 2
    assert "There is no benchmark to resume" in err
    call(table, "--seeds", 1, "--report", tmp_path / "r")
    code, _, err = call(table, "--seeds", 1, "--report", tmp_path / "r")
    assert code == 2
    assert "holds a benchmark already. --resume continues it" in err


def test_s13_with_several_budgets_the_table_has_a_line_for_each(table):
    code, out, _ = call(table, "--seeds", 2, "--budget", 10)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[:5]] == [
        ["strategy", "budget"], ["random", "10"], ["evolution", "10"], ["random", "20"], ["evolution", "20"]
    ]  # fmt: skip
    code, _, err = call(table, "--seeds", 2, "--budget", 2)
    assert code == 2
    assert "a budget of 2 simulated seconds is less than the most expensive child" in err
    code, _, err = call(table, "--seeds", 2, "--budget", "-1")
    assert code == 2
    assert "budget = -1.0: Input should be greater than 0" in err


def result(label: str, seed: int) -> SeedResult:
    best = Improvement(1.0, 1, 0.5, 0.25, "x")
    return SeedResult(label, seed, SimulatedRun((best,), 1, 1, 0, 0, 1.0, False, 20.0), 0.1)


def test_s13_a_log_of_ten_hours_has_less_than_a_hundred_lines_for_a_strategy_and_does_not_fall_silent():
    out, now = io.StringIO(), 0.0
    progress = LoggedProgress(["a", "b"], 36_000, Console(file=out), clock=lambda: now)
    for second in range(36_000):
        now = float(second)
        progress.took(result("a", second))
    lines = out.getvalue().splitlines()
    assert lines[0] == "[11/36,000] a  mean=0.2500 so far"
    assert lines[-1] == "[36,000/36,000] a  mean=0.2500"
    assert 60 < len(lines) < 100


def test_s13_on_a_terminal_each_strategy_has_a_bar_with_its_mean():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, highlight=False)
    progress = ShownProgress(["a", "b"], 2, console)
    with progress.bars:
        progress.took(result("a", 0))
        progress.advance(1)
        progress.bars.refresh()
    assert "mean 0.2500" in out.getvalue()
    progress.interrupted()
    assert "a  1 of 2 seeds, mean 0.2500" in out.getvalue()
    assert "b  0 of 2 seeds, mean -" in out.getvalue()
