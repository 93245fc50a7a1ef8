"""A driver that gets SIGTERM, then one that gets SIGKILL, and the search is resumed: each child is there
once, everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import ray
from typer.testing import CliRunner, Result

from raynas.cli.main import app
from raynas.engine.pool import ChildPool
from raynas.run.events import Event, Finished, Interrupted, Proposed
from raynas.run.journal import read_events

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

CHILDREN = 10
# Small on purpose: what is tested is the driver's death, with real children on real images.
SETTINGS = [
    "--children", str(CHILDREN), "--epochs", "1", "--seed", "5", "--set", "network.filters=4",
    "--set", "space.num_blocks=1", "--set", "data.train_images=256", "--set", "data.validation_images=64",
    # Beside the pool of the other tests, which holds nearly all CPUs of the Ray that they share.
    "--set", "workers.count=2", "--set", "workers.cpus=0.01",
]  # fmt: skip


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "raynas", *arguments]


def call(*arguments: str) -> Result:
    """Runs a command that starts no Ray in this process, as importing torch and Ray again takes seconds."""
    return CliRunner().invoke(app, list(arguments))


@dataclass(frozen=True)
class Terminated:
    """What a driver left behind that got SIGTERM."""

    exit_code: int
    said: str
    events: list[Event]
    mlflow_status: str


def mlflow_runs(folder: Path) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("raynas")
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def signalled(number: signal.Signals, arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """The end of a driver that gets a signal after two children, and what it said after them."""
    driver = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    done = 0
    for line in driver.stdout:
        done += "child done" in line
        if done == 2:
            driver.send_signal(number)
            break
    said = driver.stdout.read()
    return driver.wait(), said


@pytest.fixture(scope="module")
def search(
    pool: ChildPool, tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> tuple[Path, Terminated]:
    """A run whose first driver got SIGTERM, whose second was killed, and whose third came to the end."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    shutil.copy(empty_store, folder.parent / "mlflow.db")
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    # The Ray that the tests share, as starting one for each driver takes longer than its search.
    environment["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    start = command("search", "--out", str(folder), *SETTINGS)
    resume = command("search", "--out", str(folder), "--resume")
    code, said = signalled(signal.SIGTERM, start, environment)
    (parent,) = [run for run in mlflow_runs(folder) if "mlflow.parentRunId" not in run.data.tags]
    terminated = Terminated(code, said, read_events(folder / "journal.jsonl"), parent.info.status)
    code, _ = signalled(signal.SIGKILL, resume, environment)
    assert code == -signal.SIGKILL
    # As a driver that dies in the middle of a write leaves it.
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"kind":"finished","chi')
    subprocess.run(resume, env=environment, check=True)
    return folder, terminated


@pytest.fixture
def killed_and_resumed(search: tuple[Path, Terminated]) -> Path:
    return search[0]


def test_after_sigterm_running_children_are_interrupted_and_the_command_to_resume_is_printed(search):
    folder, terminated = search
    last = terminated.events[-1]
    ended = {event.child for event in terminated.events if isinstance(event, Finished)}
    assert terminated.exit_code == 128 + signal.SIGTERM
    assert f"search --out {folder} --resume" in terminated.said
    assert isinstance(last, Interrupted)
    assert last.reason == "SIGTERM"
    assert (
        set(last.children)
        == {event.child for event in terminated.events if isinstance(event, Proposed)} - ended
        != set()
    )
    assert terminated.mlflow_status == "KILLED"


def test_the_journal_has_every_child_exactly_once(killed_and_resumed):
    events = read_events(killed_and_resumed / "journal.jsonl")
    assert Counter(event.child for event in events if isinstance(event, Proposed)) == Counter(range(CHILDREN))
    assert Counter(event.child for event in events if isinstance(event, Finished)) == Counter(range(CHILDREN))


def test_mlflow_has_one_finished_parent_and_every_child_exactly_once(killed_and_resumed):
    runs = mlflow_runs(killed_and_resumed)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert [parent.info.status for parent in parents] == ["FINISHED"]
    assert Counter(int(run.data.tags["raynas.child"]) for run in children) == Counter(range(CHILDREN))
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    assert {run.info.status for run in children} == {"FINISHED"}


def test_the_leaderboard_as_json_has_every_child_once_and_best_first(killed_and_resumed):
    ended = call("leaderboard", str(killed_and_resumed), "--format", "json")
    entries = json.loads(ended.stdout)
    accuracies = [entry["accuracy"] for entry in entries]
    assert sorted(entry["child"] for entry in entries) == list(range(CHILDREN))
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(
        entry["parameters"] > 0 and entry["mult_adds"] > 0 and entry["seconds"] > 0 for entry in entries
    )


def test_a_resume_with_another_seed_is_refused_and_changes_nothing(killed_and_resumed):
    before = (killed_and_resumed / "journal.jsonl").read_bytes()
    ended = call("search", "--out", str(killed_and_resumed), "--resume", "--seed", "6")
    assert ended.exit_code == 2
    assert "started with --seed 5; now --seed 6 is asked" in ended.stderr
    assert (killed_and_resumed / "journal.jsonl").read_bytes() == before


def test_a_new_search_into_the_same_folder_is_refused(killed_and_resumed):
    ended = call("search", "--out", str(killed_and_resumed))
    assert ended.exit_code == 2
    assert "already holds a run" in ended.stderr
