"""`raynas benchmark`: what it prints, and each mistake's answer."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from tests.programs.benchmark.small_tables import SPACE, actions_of

NUMBERS = range(1000)
RECIPE = """
table = "cells.parquet"
space = "nasbench201"
signal = "valid"
result = "test"
cost = "hours"
cost_scale = 3600
budget = 400_000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of a part of NAS-Bench-201's space by formula, in percent, and a recipe for it."""
    path = tmp_path_factory.mktemp("tables")
    content = {
        "arch": [SPACE.to_text(SPACE.decode(actions_of(number))) for number in NUMBERS],
        "valid": [number % 97 for number in NUMBERS],
        "test": [number % 97 / 2 for number in NUMBERS],
        "hours": [1 + number % 3 for number in NUMBERS],
    }
    pq.write_table(pa.table(content), path / "cells.parquet")
    (path / "cells.toml").write_text(RECIPE)
    return path


def call(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["benchmark", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def small(folder: Path, *words: object) -> tuple[int, str, str]:
    return call("--recipe", folder / "cells.toml", "--seeds", 3, "--processes", 1, *words)


def test_json_is_a_list_with_an_object_for_each_strategy(folder):
    code, out, _ = small(folder, "--strategies", "random,evolution", "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert [entry["strategy"] for entry in found] == ["random", "evolution"]
    for entry in found:
        assert entry["n"] == 3
        # A child takes two hours in the mean, and 400,000 seconds are 111.
        assert 40 < entry["children"] < 75
        assert 0 < entry["mean"] < 0.49 and entry["std"] >= 0


def test_options_do_what_a_recipe_does_and_are_laid_over_it(folder):
    words = "--space nasbench201 --signal valid --result test --cost hours --cost-scale 3600 --budget 400000"
    options = ["--table", folder / "cells.parquet", *words.split()]
    tail = ["--strategies", "random", "--format", "json"]
    code, out, _ = call(*options, "--seeds", 3, "--processes", 1, *tail)
    assert code == 0
    results = [
        [(entry["mean"], entry["children"]) for entry in json.loads(text)]
        for text in (out, small(folder, *tail)[1], small(folder, "--budget", 40_000, *tail)[1])
    ]
    assert results[0] == results[1]
    assert results[2][0][1] < results[1][0][1] / 5


def test_the_table_has_a_line_for_each_strategy_and_what_the_best_would_be(folder):
    code, out, _ = small(folder, "--strategies", "random,small=evolution", "--set", "small.population=4")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["strategy", "random", "small"]
    assert "best result 0.4800; best signal 0.9600" in out


def test_seeds_are_counted_from_the_first(folder):
    tail = ["--strategies", "random", "--format", "json"]
    one, other, again = (
        json.loads(small(folder, "--first-seed", seed, *tail)[1])[0]["mean"] for seed in (0, 10, 0)
    )
    assert one == again != other


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strategies", "randon"], "No strategy is called 'randon'. Did you mean 'random'?"),
        (["--strategies", "random,random"], "'random' is given 2 times"),
        (["--signal", "vald"], "called 'vald'. Did you mean 'valid'?"),
        (["--arch-column", "arc"], "called 'arc'. Did you mean 'arch'?"),
        (["--space", "nasbench"], "No search space is called 'nasbench'. Did you mean 'nasbench201'?"),
        (["--space", "darts"], "column 'arch', row 0: the genotype is no JSON"),
        (["--budget", "9"], "a budget of 9 simulated seconds is less than the most expensive child"),
        (["--budget", "-1"], "budget = -1.0: Input should be greater than 0"),
        (["--cost-scale", "0"], "cost_scale = 0.0: Input should be greater than 0"),
        (
            ["--set", "evolution.populaton=3"],
            "evolution.populaton is not an option. Did you mean 'population'?",
        ),
        (
            ["--set", "evoluton.population=3"],
            "No strategy in this benchmark is called 'evoluton'. Did you mean",
        ),
        (["--set", "evolution=3"], "write evolution.OPTION=VALUE"),
        (["--set", "space=3"], "write space.OPTION=VALUE"),
    ],
)
def test_a_mistake_is_answered_with_the_nearest_and_exit_code_2(folder, words, message):
    code, out, err = small(folder, *words)
    assert (code, out) == (2, "")
    assert message in err


def test_a_table_that_is_not_there_is_answered_with_the_nearest(folder):
    code, _, err = small(folder, "--table", folder / "cell.parquet")
    assert code == 2
    assert "Did you mean 'cells.parquet'?" in err


def test_what_is_given_nowhere_is_asked_for():
    code, _, err = call("--space", "nasbench201", "--signal", "valid")
    assert code == 2
    assert "--table, --result, --cost, --budget must be given" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signal = ", "is not valid TOML"),
        ('sinal = "valid"', "No field of a benchmark recipe is called 'sinal'. Did you mean 'signal'?"),
        ("[1", "is not valid TOML"),
    ],
)
def test_a_bad_recipe_is_refused(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    code, _, err = call("--recipe", tmp_path / "r.toml")
    assert code == 2
    assert message in err


def test_a_report_is_written_with_random_search_in_it(folder, tmp_path):
    code, out, _ = small(folder, "--strategies", "evolution", "--report", tmp_path / "r", "--format", "json")
    assert code == 0
    assert [entry["strategy"] for entry in json.loads(out)] == ["evolution", "random"]
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert {"report.md", "report.html", "runs.parquet", "trajectories.parquet"} <= names


def test_a_report_is_never_written_over_anything(folder, tmp_path):
    (tmp_path / "mine").write_text("dear")
    code, out, err = small(folder, "--report", tmp_path)
    assert (code, out) == (2, "")
    assert "is not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
