"""A recorded run: what is read of a folder, in which order, and what is worked out of its events."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import raynas.run.recorded
from raynas.errors import RunFolderError
from raynas.run.events import Driver, Event, Finished, Interrupted, Proposed, Resumed, Started
from raynas.run.journal import Journal
from raynas.run.leaderboard import leaderboard
from raynas.run.recorded import RecordedRun, driver_state
from tests.run.builders import completed, infeasible

PARETO = {"name": "pareto", "worst_cost": 10}
STARTED = Started(
    run_id="r", raynas="0", time=1.0, config={"children": 3}, driver=Driver(host="here", slots=2)
)


def resumed(children: int = 5) -> Resumed:
    return Resumed(time=4.0, children=children, driver=Driver(host="there", slots=2))


def ended(accuracies: list[float], *, reward: dict[str, object] | None = None) -> list[Event]:
    """A run of these children, each a parameter larger than the one before; after them a refused one."""
    config = STARTED.config | ({"reward": reward} if reward else {})
    events: list[Event] = [STARTED.model_copy(update={"config": config})]
    results = [*map(completed, accuracies), infeasible()]
    for child, result in enumerate(results):
        arch_id = f"{child:012x}"
        events.append(Proposed(child=child, time=2.0, actions=(0,), arch_id=arch_id, parameters=child + 1))
        events.append(Finished(child=child, time=3.0, reward=result.accuracy, result=result))
    return events


def test_the_config_has_the_number_of_children_that_was_last_asked_for():
    assert RecordedRun(Path("run"), [STARTED]).config == {"children": 3}
    assert RecordedRun(Path("run"), [STARTED, resumed(9), resumed(5)]).config == {"children": 5}
    assert STARTED.config == {"children": 3}


def test_a_recorded_setting_that_no_longer_exists_is_left_out():
    config = {"workers": {"count": 2, "cpu_workers": 0}, "seed": 1}
    started = STARTED.model_copy(update={"config": config})
    assert RecordedRun(Path("run"), [started]).config == {"workers": {"count": 2}, "seed": 1}


def test_children_are_ranked_by_reward_and_refused_ones_are_counted():
    run = RecordedRun(Path("run"), ended([0.25, 0.75]))
    assert [entry.child for entry in run.entries] == [1, 0]
    assert (list(run.records), run.num_infeasible) == ([0, 1, 2], 1)
    assert (run.trade, run.front, run.hypervolume) == (None, None, None)


def test_a_run_with_a_front_is_ranked_by_it():
    run = RecordedRun(Path("run"), ended([0.5, 0.25, 0.75], reward=PARETO))
    assert run.trade is not None and run.front is not None
    assert run.front.points == [(0.1, 0.5), (0.3, 0.75)]
    assert run.hypervolume == pytest.approx(0.2 * 0.5 + 0.7 * 0.75)
    assert run.entries == leaderboard(run.records.values(), trade=run.trade)
    assert [entry.on_front for entry in run.entries] == [True, True, False]


def test_what_is_worked_out_is_worked_out_once(monkeypatch):
    run = RecordedRun(Path("run"), ended([0.5], reward=PARETO))
    first = [getattr(run, name) for name in ("started", "config", "records", "front", "entries", "shifts")]
    for name in ("records_of", "shifts_of", "final_front", "leaderboard"):
        monkeypatch.delattr(raynas.run.recorded, name)
    again = [getattr(run, name) for name in ("started", "config", "records", "front", "entries", "shifts")]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_a_folder_is_read_with_the_state_of_its_driver(tmp_path):
    started = STARTED.model_copy(update={"driver": Driver(host=socket.gethostname(), slots=1)})
    with Journal.create(tmp_path / "journal.jsonl", started):
        assert RecordedRun.read(tmp_path).driver == "running"
    run = RecordedRun.read(tmp_path)
    assert (run.driver, run.folder, run.started) == ("gone", tmp_path, started)


def test_a_folder_without_a_journal_is_no_run(tmp_path):
    with pytest.raises(RunFolderError, match="does not exist"):
        RecordedRun.read(tmp_path)


def test_a_driver_that_ends_while_it_is_read_is_not_found_gone_with_children_unfinished(
    tmp_path, monkeypatch
):
    looked_at: list[str] = []
    journal = Journal.create(tmp_path / "journal.jsonl", STARTED)

    def is_being_written(path: Path) -> bool:
        looked_at.append("lock")
        # The driver writes its last event and ends just now.
        journal.append(Interrupted(time=2.0, reason="SIGTERM", children=()))
        journal.close()
        return True

    monkeypatch.setattr(raynas.run.recorded, "is_being_written", is_being_written)
    run = RecordedRun.read(tmp_path)
    assert looked_at == ["lock"]
    assert [event.kind for event in run.events] == ["started", "interrupted"]


@pytest.mark.parametrize(
    ("is_locked", "host", "state"),
    [
        (True, "elsewhere", "running"),
        (False, "there", "gone"),
        (False, "elsewhere", "unknown"),
        (None, "there", "unknown"),
    ],
)
def test_a_driver_is_gone_if_its_own_machine_sees_no_lock(is_locked, host, state):
    assert driver_state([STARTED, resumed()], is_locked=is_locked, host=host) == state


def test_a_driver_whose_machine_is_not_recorded_may_be_anywhere():
    assert driver_state([Resumed(time=1, children=1)], is_locked=False, host="here") == "unknown"


@pytest.mark.parametrize("is_locked", [False, None])
def test_a_driver_that_said_that_it_ends_is_gone_wherever_it_was(is_locked):
    events = [STARTED, Interrupted(time=2.0, reason="SIGTERM", children=())]
    assert driver_state(events, is_locked=is_locked, host="elsewhere") == "gone"
    assert driver_state([*events, resumed()], is_locked=is_locked, host="elsewhere") == "unknown"
