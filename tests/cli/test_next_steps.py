"""What a search suggests next ends today."""

from __future__ import annotations

import pytest

from raynas.cells.published import published_cell
from raynas.cli.terminal.next_steps import HOURS, promote_command, suggested_epochs, train_command
from raynas.programs.search.recipes import search_config
from raynas.programs.search.result import SearchResult, mean_epoch_seconds
from raynas.run.leaderboard import Leaderboard, LeaderboardEntry
from raynas.run.records import records_of
from raynas.training import small


def result(tmp_path, epoch_seconds: float | None) -> SearchResult:
    sizes = dict.fromkeys(("parameters", "mult_adds", "activations", "seconds"))
    score = {"accuracy": 0.5, "reward": 0.5, "epochs": 1, "reason": ""}
    entry = LeaderboardEntry(child=0, arch_id="a" * 12, status="completed", **sizes, **score)
    return SearchResult(
        leaderboard=Leaderboard([entry]),
        config=search_config("small", {}),
        best=published_cell("nasnet_a").genotype,
        run_folder=tmp_path,
        mlflow_run_id=None,
        mlflow_uri=None,
        records=[],
        decisions=(),
        epoch_seconds=epoch_seconds,
    )


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(1e-12, small.EPOCHS), (1.0, small.EPOCHS), (HOURS * 360, 10), (1e9, 2)]
)
def test_epochs_are_the_recipes_or_as_many_as_end_today(seconds, epochs):
    assert suggested_epochs(seconds) == epochs


def test_the_commands_carry_epochs_and_an_estimate(tmp_path):
    config = search_config("small", {})
    assert f"promote {tmp_path} --top 1" in promote_command(result(tmp_path, 0.5), config)
    for command in (promote_command, train_command):
        text = command(result(tmp_path, 0.5), config)
        assert f" --epochs {small.EPOCHS}  # about " in text and text.endswith("on one worker like these")


def test_without_a_pace_there_is_no_estimate(tmp_path):
    config = search_config("small", {"data": {"source": "photos", "train_images": 50}})
    text = train_command(result(tmp_path, None), config)
    assert text.endswith(f"train {tmp_path} --data photos --set data.train_images=50")


def test_no_child_has_no_pace():
    assert mean_epoch_seconds(records_of([]).values()) is None
