"""Folders that raynas 0.1.0 wrote before its modules moved are read as before: tests/earlier_version.

search/ was killed with SIGKILL while 2 of its 14 children were being trained; promotion/ holds its two best
cells, trained longer; training/ was killed in the third of its four epochs; trained/model is the network that
it had become in the end.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.models.folder import load_model

FOLDER = Path(__file__).with_name("earlier_version")
BEST_OF_SEARCH = ("98daa22dbf3d", 0.26)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a command may write into."""
    shutil.copytree(FOLDER, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert (result.exit_code, result.exception) == (0, None), result.output
    return result.output


def test_the_leaderboard_is_what_it_was(runs):
    entries = json.loads(call("leaderboard", "runs/search", "--format", "json"))
    assert (entries[0]["arch_id"], entries[0]["accuracy"]) == BEST_OF_SEARCH
    assert {entry["child"] for entry in entries if entry["accuracy"] is not None} == set(range(11))
    promoted = json.loads(call("leaderboard", "runs/promotion", "--format", "json"))
    assert [entry["accuracy"] for entry in promoted] == [0.09, 0.07]


def test_the_status_and_the_report_of_a_killed_search_are_written(runs):
    status = json.loads(call("status", "runs/search", "--format", "json"))
    children = status["children"]
    assert (children["completed"], children["interrupted"], children["to_come"]) == (11, 2, 1)
    call("report", "runs/search")
    assert BEST_OF_SEARCH[0] in (runs / "search" / "report" / "report.md").read_text()


def test_another_reward_ranks_its_children(runs):
    entries = json.loads(
        call(
            "rescore",
            "runs/search",
            "--reward",
            "mnasnet",
            "--set",
            "reward.parameters=9000",
            "--format",
            "json",
        )
    )
    assert entries[0]["reward"] != entries[0]["accuracy"]


def test_its_cells_can_be_drawn_and_trained(runs):
    assert "normal" in call("show", "runs/promotion").lower()
    assert "4 epochs" not in call("train", "runs/promotion", "--dry-run")


def test_its_network_is_loaded_and_exported(runs):
    loaded = load_model(runs / "trained" / "model")
    assert loaded.info.training["top1"] == pytest.approx(0.4358, abs=1e-4)
    call("export", "runs/trained", "--format", "safetensors", "--out", "small.safetensors")
    assert (runs.parent / "small.safetensors").stat().st_size > 0
