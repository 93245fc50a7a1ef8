"""`raynas auto`: the plan before anything begins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.programs.auto import auto
from raynas.programs.auto.plan import Paces

PACES = Paces(search=2000.0, threads=2, networks=(900.0, 400.0), reference=300.0)


@pytest.fixture
def paces(monkeypatch):
    monkeypatch.setattr(auto, "measure_paces", lambda *_: PACES)


def run(*arguments: str):
    return CliRunner().invoke(app, ["auto", "--data", "digits", *arguments])


def test_a_dry_run_prints_the_plan_with_times_and_writes_nothing(paces, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("--hours", "2", "--dry-run")
    assert result.exit_code == 0
    assert "raynas auto: 2 hours, folder runs/auto-digits" in result.output
    for part, minutes in (("search", "47 min"), ("promotion", "23 min"), ("training", "48 min")):
        assert any(line.startswith(part) and minutes in line for line in result.output.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_too_few_hours_are_refused_with_the_least_that_would_do(paces, tmp_path: Path):
    result = run("--hours", "0.01", "--out", str(tmp_path / "auto"))
    assert result.exit_code == 2
    assert "The least that would do is 0." in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments",
    [("--hours", "0"), ("--hours", "-1"), ("--hours", "nan"), ("--hours", "8", "--export", "tflite")],
)
def test_what_makes_no_sense_is_refused(arguments):
    result = run(*arguments)
    assert result.exit_code == 2 and "Error: " in result.output
