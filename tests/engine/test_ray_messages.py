"""Ray's paragraphs go into the run's ray.log, and a line about each kind to the terminal."""

from __future__ import annotations

import inspect

import pytest
import ray
import ray._private.worker as ray_worker

from raynas.engine.cluster import connected
from raynas.engine.ray_messages import RAY_LOG

DIED = (
    "A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the "
    "problem, check the logs for the dead worker. RayTask ID: ffff{0} Worker ID: {0} Node ID: 07{0}"
)
OTHERS = {
    "memory": "3 Workers (tasks / actors) killed due to memory pressure (OOM). Memory on the node was 31GB",
    "room": "The actor or task with ID ff cannot be scheduled right now. You can ignore this message if",
    "disk": "Object creation failed, and spilling is not possible, because the local disk is full",
    "nothing that is known": "WARNING: 30 PYTHON worker processes have been started on node: 07 with address",
}


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests of this process may have left their Ray running, which stays as it is.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)


def ray_says(text: str) -> None:
    """Prints `text` with the function by which Ray prints messages of the cluster."""
    ray_worker.print_to_stdstream(
        {"lines": [text], "pid": "raylet", "is_err": False},
        ignore_prefix=False,
    )


def test_s12_lost_workers_are_one_line_on_the_terminal_and_whole_in_the_log(tmp_path, capsys, caplog):
    with connected("local", folder=tmp_path):
        for number in range(3):
            ray_says(DIED.format(number))
    assert capsys.readouterr() == ("", "")
    assert [record.message for record in caplog.records] == [
        f"Ray reports: a worker process has died (its text is in {tmp_path / RAY_LOG})"
    ]
    lines = (tmp_path / RAY_LOG).read_text().splitlines()
    assert [line.partition(") ")[2] for line in lines] == [DIED.format(number) for number in range(3)]


@pytest.mark.parametrize("kind", OTHERS)
def test_s12_whatever_ray_says_is_a_short_line_and_in_the_log(tmp_path, capsys, caplog, kind):
    with connected("local", folder=tmp_path):
        ray_says(OTHERS[kind])
    assert capsys.readouterr() == ("", "")
    (line,) = [record.message for record in caplog.records]
    assert len(line) < 130 + len(str(tmp_path / RAY_LOG))
    assert OTHERS[kind] in (tmp_path / RAY_LOG).read_text()


def test_s12_what_is_said_before_the_folder_exists_is_written_at_the_end(tmp_path):
    folder = tmp_path / "run"
    with connected("local", folder=folder):
        ray_says("early")
        assert not folder.exists()
        folder.mkdir()
    assert "early" in (folder / RAY_LOG).read_text()


def test_s12_a_quiet_ray_leaves_no_file_and_no_run_no_folder(tmp_path):
    with connected("local", folder=tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    with connected("local", folder=tmp_path / "never"):
        ray_says("a run that did not begin")
    assert not list(tmp_path.iterdir())


def test_s12_a_log_that_cant_be_written_ends_nothing(tmp_path):
    (tmp_path / RAY_LOG).mkdir()
    with connected("local", folder=tmp_path):
        ray_says("a")


def test_s12_afterwards_ray_prints_as_before(capsys):
    printing = ray_worker.print_to_stdstream
    with connected("local"):
        ray_says("kept back")
    assert ray_worker.print_to_stdstream is printing
    assert "kept back" not in capsys.readouterr().out


def test_s12_ray_still_prints_its_messages_through_the_function_that_is_replaced():
    """Fails when a new Ray prints in another way."""
    assert "print_to_stdstream(" in inspect.getsource(ray_worker.listen_error_messages)
    assert list(inspect.signature(ray_worker.print_to_stdstream).parameters) == ["data", "ignore_prefix"]
