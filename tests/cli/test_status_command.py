"""`raynas status` on runs that go on, have ended, were killed, and are none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raynas.child import ChildResult
from raynas.cli.main import app
from raynas.run.events import Driver, Finished, Interrupted, Proposed, Started
from raynas.run.journal import Journal

BEGAN = 1_700_000_000.0


def proposed(child: int) -> Proposed:
    return Proposed(child=child, time=BEGAN, actions=(0,), arch_id=f"{child:012x}")


def finished(child: int, accuracy: float | None) -> Finished:
    result = (
        ChildResult(status="failed", reason="boom [red]3[/red]", seconds=10)
        if accuracy is None
        else ChildResult(status="completed", accuracy=accuracy, seconds=10)
    )
    return Finished(child=child, time=BEGAN + 10, reward=accuracy, result=result)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """A run with a driver at work for 100 s: two of four children done, two being trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "time", lambda: BEGAN + 100)
    driver = Driver(host=socket.gethostname(), slots=2)
    start = Started(run_id="r", raynas="0", time=BEGAN, config={"children": 4}, driver=driver)
    with Journal.create(tmp_path / "runs" / "one" / "journal.jsonl", start) as journal:
        for event in (*map(proposed, range(4)), finished(0, 0.75), finished(1, None)):
            journal.append(event)
        yield journal


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["status", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_run_that_goes_on_is_told_in_lines(run):
    code, out, _ = call()
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert (code, out.splitlines()[0]) == (0, "runs/one")
    assert lines["children"] == "2 of 4 done; 1 completed, 1 failed, 2 running"
    assert lines["failed"] == "1  boom [red]N[/red]"
    assert lines["best"] == f"0.7500  {0:012x}  (child 0)"
    assert lines["rate"] == "72.0 children per hour, over 1 min 40 s of work"
    assert lines["workers"] == "100% of their time spent training"
    assert lines["time"] == "left   about 1 min 40 s"
    assert lines["driver"].startswith("running since 2023-11-1")
    assert lines["driver"].endswith(", 1 min 40 s; last event 1 min 30 s ago")


def test_json_has_the_same_and_the_folder(run):
    found = json.loads(call("runs/one", "--format", "json")[1])
    assert found["run"] == "runs/one"
    assert found["children"]["running"] == 2
    assert found["failures"] == {"boom [red]N[/red]": 1}
    assert (found["driver"], found["driver_since"], found["utilisation"]) == ("running", BEGAN, 1.0)
    assert found["active_seconds"] == 100


def test_a_run_whose_driver_is_gone_says_how_to_go_on(run):
    run.close()
    _, out, _ = call()
    assert "2 interrupted" in out and "2 running" not in out
    assert "driver      gone, the run is unfinished" in out
    assert "once it is resumed" in out
    assert "search --out runs/one --resume" in out


def test_a_run_that_was_interrupted_says_by_what(run):
    run.append(Interrupted(time=BEGAN + 20, reason="SIGTERM", children=(2, 3)))
    run.close()
    _, out, _ = call()
    assert "2 interrupted" in out
    assert "driver      ended (SIGTERM), the run is unfinished" in out
    assert "search --out runs/one --resume" in out


def test_a_run_on_another_machine_is_not_called_dead(run, monkeypatch):
    run.close()
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    _, out, _ = call()
    assert "not on this machine" in out and "2 running" in out


def test_scores_of_other_children_are_told_apart(run):
    run.append(finished(2, 0.75).model_copy(update={"reused_from": 0}))
    assert "3 of 4 done; 2 completed (1 reused), 1 failed, 1 running" in call()[1]


def test_a_complete_run_has_nothing_left(run):
    run.append(finished(2, 0.5))
    run.append(finished(3, 0.25))
    run.close()
    _, out, _ = call()
    assert "4 of 4 done; 3 completed, 1 failed" in out
    assert "ended, all children are done" in out
    assert "left" not in out and "--resume" not in out


def test_a_line_that_is_being_written_is_not_there_yet_and_nothing_is_touched(run, monkeypatch):
    os.utime(run.path, (BEGAN, BEGAN))
    with run.path.open("ab") as file:
        file.write(b'{"kind":"finished","chi')
    before, changed = run.path.read_bytes(), run.path.stat().st_mtime_ns
    monkeypatch.setattr("fcntl.flock", lambda *_: pytest.fail("a lock was taken"))
    code, out, _ = call()
    assert (code, "2 of 4 done" in out) == (0, True)
    assert (run.path.read_bytes(), run.path.stat().st_mtime_ns) == (before, changed)
    assert os.listdir(run.path.parent) == ["journal.jsonl"]


def test_another_process_sees_the_driver_and_leaves_its_lock(run):
    words = [sys.executable, "-m", "raynas", "status", str(run.path.parent), "--format", "json"]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert found["driver"] == "running"
    run.append(finished(2, 0.5))


def test_what_is_no_run_ends_with_code_2(run, tmp_path):
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "training.json").touch()
    (tmp_path / "runs" / "one" / "journal.jsonl").write_text("garbled\n")
    for words, message in (
        (["nowhere"], "holds no run"),
        (["final"], "holds a final training, and no search"),
        (["runs/one"], "line 1: "),
    ):
        code, _, error = call(*words)
        assert (code, message in error) == (2, True)
