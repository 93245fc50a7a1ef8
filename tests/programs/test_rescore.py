"""`raynas rescore`: a journal under another reward is what a search with that reward would have recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raynas.child import ChildResult, LimitsConfig
from raynas.cli.main import app
from raynas.nn import Complexity
from raynas.programs.rescore import rescored_events
from raynas.programs.search.recipes import search_config
from raynas.run.events import Event, Finished, Started
from raynas.run.journal import Journal, read_events
from raynas.run.run import Run
from raynas.strategies.rewards.reward import Reward, make_reward

REWARDS: dict[str, dict[str, Any]] = {
    "accuracy": {},
    "mnasnet": {"parameters": 30_000, "latency_ms": 3.0, "alpha": 0, "beta": -1},
    "pareto": {"worst_cost": 60_000},
}


def size_of(genotype) -> Complexity:
    """A size as good as random."""
    return Complexity(int(genotype.arch_id[:4], 16))


def ended(child: int) -> ChildResult:
    if child % 7 == 3:
        return ChildResult(status="failed", reason="boom")
    status = "stopped" if child % 5 == 1 else "completed"
    return ChildResult(status=status, accuracy=(child * 37 % 100) / 100, latency_ms=1.0 + child % 4)


def searched(path: Path, reward: Reward, recorded: dict[str, Any], *, results=ended) -> list[Event]:
    """The events of a random search of 24 children, which finish in an order of their own."""
    settings = {"space": {"num_blocks": 1}, "strategy": {"name": "random"}, "reward": recorded}
    config = search_config(settings=settings)
    space = config.make_space()
    started = Started(run_id="r", raynas="0", time=0.0, config=config.model_dump(mode="json"))
    with Journal.create(path, started) as journal:
        run = Run(
            space,
            config.make_strategy(space),
            num_children=24,
            reward=reward,
            measure=size_of,
            limits=LimitsConfig(parameters=60_000),
            reuses=True,
            journal=journal,
        )
        while children := [child for child in (run.next_child() for _ in range(5)) if child]:
            for child in reversed(children):
                run.finish(child.id, results(child.id))
    return read_events(path)


def timeless(events: list[Event]) -> list[Event]:
    return [event.model_copy(update={"time": 0.0}) for event in events]


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("before", REWARDS)
def test_a_rescored_journal_is_the_journal_of_a_search_with_that_reward(tmp_path, before, name):
    def search(which: str) -> list[Event]:
        made = make_reward(which, **REWARDS[which])
        return searched(tmp_path / f"{which}-{before}.jsonl", made, {"name": which, **REWARDS[which]})

    old = search(before)
    wanted = search(name) if name != before else old
    found = rescored_events(old, make_reward(name, **REWARDS[name]))
    assert timeless(found[1:]) == timeless(wanted[1:])
    rewards = [event.reward for event in found if isinstance(event, Finished)]
    assert None in rewards and len(set(rewards)) > 10


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with one run below runs/ whose children after the fifth have no latency."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "one").mkdir(parents=True)

    def result(child: int) -> ChildResult:
        found = ended(child)
        return found if child < 5 else found.model_copy(update={"latency_ms": None})

    reward = make_reward("pareto", worst_cost=60_000)
    recorded = {"name": "pareto", "worst_cost": 60_000}
    searched(tmp_path / "runs" / "one" / "journal.jsonl", reward, recorded, results=result)
    return tmp_path


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["rescore", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_table_with_another_order_is_printed_and_nothing_is_written(folder, monkeypatch):
    # As in a pipe: a terminal's width, which the test runner may have, would cost the table columns.
    monkeypatch.delenv("COLUMNS", raising=False)
    before = everything(folder)
    code, out, error = call("--reward", "mnasnet", "--set", "reward.parameters=20000")
    assert (code, error) == (0, "")
    assert out.splitlines()[0] == "runs/one"
    assert out.splitlines()[2].split() == (
        ["rank", "arch_id", "child", "status", "reward", "accuracy", "params", "mult-adds", "ms", "seconds"]
    )
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("width", "left_out"), [(70, {"mult-adds", "seconds"}), (80, {"mult-adds"}), (100, set())]
)
def test_a_narrow_terminal_gets_fewer_columns_and_whole_ones(folder, monkeypatch, width, left_out):
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = call("--reward", "mnasnet", "--set", "reward.parameters=20000")
    columns = out.splitlines()[2].split()
    assert {"mult-adds", "seconds", "params", "ms"} - set(columns) == left_out
    assert "\u2026" not in out


def test_without_a_name_the_runs_own_reward_is_taken_with_its_options(folder):
    code, out, _ = call()
    assert code == 0
    assert "front" in out and "Hypervolume below the front: 0." in out
    assert call("--reward", "pareto")[1] == out
    assert call("--set", "reward.worst_cost=30000")[1] != out


def test_who_cannot_be_scored_is_told_with_the_reason_and_comes_last(folder):
    arguments = ("--reward", "mnasnet", "--set", "reward.latency_ms=2", "--format", "json")
    code, out, error = call(*arguments)
    entries = json.loads(out)
    assert code == 0
    unscored = [entry for entry in entries if entry["accuracy"] is not None and entry["reward"] is None]
    assert {entry["reason"] for entry in unscored} == {"its latency was not measured"}
    assert entries.index(unscored[0]) == sum(entry["reward"] is not None for entry in entries)
    assert error.startswith(f"{len(unscored)} children can't be scored by this reward, for its latency was")
    assert "boom" in {entry["reason"] for entry in entries if entry["status"] == "failed"}


def test_a_file_is_written_where_asked_and_never_over_another(folder):
    arguments = ("--reward", "accuracy", "--top", "4")
    assert call(*arguments, "--out", "best.csv")[0] == 0
    assert call(*arguments, "--out", "best.json")[0] == 0
    accuracies = [entry["accuracy"] for entry in json.loads((folder / "best.json").read_text())]
    assert len((folder / "best.csv").read_text().splitlines()) == 5
    assert accuracies == sorted(accuracies, reverse=True)
    before = everything(folder)
    code, _, error = call(*arguments, "--out", "best.json")
    assert (code, "best.json exists already" in error) == (2, True)
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reward", "mnasnet"], "no target is set; set one or more of reward.parameters"),
        (["--reward", "acuracy"], "Did you mean 'accuracy'?"),
        (["--reward", "nowhere:Reward"], "reward 'nowhere:Reward' can't be imported"),
        (["--set", "reward.worst=1"], "reward.worst is not an option. Did you mean 'worst_cost'?"),
        (["--set", "child.epochs=1"], "child can't be set here: nothing is trained. Set reward.*"),
        (["--set", "reward=accuracy"], "give its options as reward.*, and its name as --reward"),
        (["nowhere"], "nowhere holds no run"),
        (["--out", "best.txt"], "ends in '.txt'. Give a file that ends in .json, .csv or .md."),
        (["--out", "nowhere/best.md"], "can't be written: No such file or directory"),
    ],
)
def test_a_mistake_ends_with_code_2_and_nothing_is_written(folder, arguments, message):
    before = everything(folder)
    code, _, error = call(*arguments)
    assert (code, message in error) == (2, True), error
    assert everything(folder) == before
