"""How a run does, from hand-made events: two workers, times in whole seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.child import MAX_SECONDS, ChildResult
from raynas.run.events import (
    Driver,
    Event,
    Finished,
    Interrupted,
    Origin,
    Proposed,
    Resized,
    Resumed,
    Started,
)
from raynas.run.failures import short_reason
from raynas.run.recorded import RecordedRun
from raynas.run.records import records_of
from raynas.run.status import Status, status_of
from tests.run.builders import infeasible


def started(time: float = 1000, *, children: Any = 6, slots: int = 2) -> Started:
    config = {} if children is None else {"children": children}
    return Started(run_id="r", raynas="0", time=time, config=config, driver=Driver(host="here", slots=slots))


def resumed(time: float, *, children: int = 6, slots: int = 2) -> Resumed:
    return Resumed(time=time, children=children, driver=Driver(host="there", slots=slots))


def proposed(child: int, time: float, **overrides: Any) -> Proposed:
    return Proposed(child=child, time=time, actions=(0,), arch_id=f"{child:012x}", **overrides)


def finished(
    child: int, time: float, seconds: float, accuracy: float | None = 0.5, **fields: Any
) -> Finished:
    fields = {"status": "failed" if accuracy is None else "completed", "seconds": seconds} | fields
    return Finished(child=child, time=time, reward=accuracy, result=ChildResult(accuracy=accuracy, **fields))


FIRST_SHIFT: list[Event] = [
    started(),
    *(proposed(child, 1000) for child in range(3)),
    finished(0, 1010, 10, 0.5),
    proposed(3, 1010),
    finished(1, 1012, 12, None, reason="boom"),
    proposed(4, 1012),
]
"""Children 0 and 1 are done, 2 and 3 are being trained, 4 waits, 5 is to come."""


def status(events: list[Event], *, now: float = 1016, driver: Any = "running") -> Status:
    return status_of(RecordedRun(Path("run"), events, driver), now=now)


def test_children_are_counted_where_they_are():
    counts = status(FIRST_SHIFT).children
    assert (counts.asked, counts.done, counts.completed, counts.stopped, counts.failed) == (6, 2, 1, 0, 1)
    assert (counts.running, counts.waiting, counts.interrupted, counts.to_come) == (2, 1, 0, 1)


def test_rate_and_time_left_are_of_the_time_that_has_passed():
    found = status(FIRST_SHIFT)
    assert found.active_seconds == 16
    assert found.children_per_hour == 2 / 16 * 3600
    assert found.seconds_left == 4 * 8
    assert (found.driver_since, found.last_event) == (1000, 1012)


def test_without_its_driver_what_was_running_is_interrupted_and_time_stands_still():
    found = status(FIRST_SHIFT, now=9999, driver="gone")
    counts = found.children
    assert (counts.running, counts.waiting, counts.interrupted, counts.to_come) == (0, 0, 3, 1)
    assert found.active_seconds == 12
    assert found.children_per_hour == 600
    assert found.seconds_left == 4 * 6


def test_with_a_driver_that_may_be_alive_children_run_and_time_stands_still():
    found = status(FIRST_SHIFT, now=9999, driver="unknown")
    assert (found.children.running, found.active_seconds, found.driver) == (2, 12, "unknown")


def test_the_pause_between_a_kill_and_a_resume_does_not_count():
    events: list[Event] = [
        *FIRST_SHIFT,
        resumed(5000, children=8, slots=3),
        finished(2, 5008, 8),
        finished(3, 5010, 9),
        proposed(5, 5010),
    ]
    found = status(events, now=5012)
    assert found.active_seconds == 12 + 12
    assert found.children_per_hour == 4 / 24 * 3600
    assert found.seconds_left == 4 * 6
    assert (found.children.asked, found.children.running, found.children.to_come) == (8, 2, 2)
    assert found.driver_since == 5000
    # First shift: both workers were busy up to their last ends, after 10 and 12 s. Second: one of three is
    # idle for 12 s, another known for 8 s; the third has ended none of its children.
    assert found.utilisation == (10 + 12 + 8 + 9) / (10 + 12 + 12 + 8)


def test_workers_that_always_train_are_used_wholly():
    assert status(FIRST_SHIFT).utilisation == 1.0


def test_waiting_for_children_lowers_the_utilisation():
    events: list[Event] = [
        started(),
        proposed(0, 1000),
        proposed(1, 1000),
        finished(0, 1010, 5),
        proposed(2, 1010),
        finished(1, 1020, 5),
        proposed(3, 1020),
    ]
    assert status(events, now=1030).utilisation == (5 + 5) / (10 + 20)


def test_a_worker_without_a_child_is_idle_to_the_end():
    events: list[Event] = [
        started(children=2),
        proposed(0, 1000),
        proposed(1, 1000),
        finished(0, 1010, 10),
        finished(1, 1020, 20),
    ]
    assert status(events[:-1], now=1040).utilisation == 10 / 40, "nothing is known of the other worker"
    found = status(events, now=9999)
    assert found.utilisation == 30 / 40
    assert (found.is_complete, found.seconds_left, found.active_seconds) == (True, 0.0, 20)


def test_a_worker_that_joins_counts_from_then_on():
    events: list[Event] = [
        started(slots=1),
        *(proposed(child, 1000) for child in range(3)),
        Resized(time=1010, slots=3),
        finished(0, 1010, 10),
        finished(1, 1020, 8),
    ]
    found = status(events, now=1030)
    assert (found.children.running, found.children.waiting) == (1, 0)
    # One worker for 10 s and three for 20 s, of which the busy one's last 20 s are not known.
    assert found.utilisation == (10 + 8) / (10 + 60 - 20)


def test_a_worker_that_left_counts_up_to_then():
    events: list[Event] = [
        started(slots=2),
        proposed(0, 1000),
        proposed(1, 1000),
        Resized(time=1010, slots=1),
        finished(0, 1020, 20),
    ]
    found = status(events, now=1040)
    assert (found.children.running, found.children.waiting) == (1, 0)
    assert found.utilisation == 20 / (2 * 10 + 30 - 20)


def test_without_any_worker_everything_waits():
    found = status([*FIRST_SHIFT, Resized(time=1013, slots=0)], now=1020)
    assert (found.children.running, found.children.waiting) == (0, 3)
    assert found.utilisation == 22 / (2 * 13)


def test_before_the_first_end_neither_utilisation_nor_time_left_is_known():
    found = status([started(), proposed(0, 1000), proposed(1, 1000)], now=1030)
    assert (found.utilisation, found.seconds_left, found.children_per_hour) == (None, None, 0.0)
    assert status([started()], now=1000).children_per_hour is None


def test_a_journal_that_does_not_name_its_slots_has_no_utilisation():
    old = [FIRST_SHIFT[0].model_copy(update={"driver": None}), *FIRST_SHIFT[1:]]
    found = status(old)
    assert (found.utilisation, found.children.running, found.children.waiting) == (None, 3, 0)


def test_refused_proposals_are_no_children():
    refused: list[Event] = [proposed(5, 1014), Finished(child=5, time=1014, reward=None, result=infeasible())]
    before, after = status(FIRST_SHIFT), status(FIRST_SHIFT + refused)
    assert after.children == before.children.model_copy(update={"infeasible": 1})
    assert (after.utilisation, after.failures) == (before.utilisation, before.failures)


def test_failures_are_grouped_by_their_short_reasons_the_most_frequent_first():
    reasons = [
        "the loss became nan in epoch 3",
        "RuntimeError: shape 3 (in forward, net.py, line 9)",
        "RuntimeError: shape 8 (in backward, net.py, line 11)\nmore of it",
        "RuntimeError: shape 12 (in forward, net.py, line 9)",
    ]
    events: list[Event] = [started()]
    for child, reason in enumerate(reasons):
        events += [proposed(child, 1000), finished(child, 1001, 1, None, reason=reason)]
    assert list(status(events).failures.items()) == [
        ("RuntimeError: shape N", 3),
        ("the loss became nan in epoch N", 1),
    ]


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("CUDA error at 0x7f3A in 12.5 MiB", "CUDA error at N in N MiB"),
        ("\x1b[31mred\x07", "[Nmred"),
        ("", ""),
        ("y" * 300, "y" * 97 + "..."),
    ],
)
def test_a_reason_is_short_and_printable(reason, short):
    assert short_reason(reason) == short


def test_the_best_child_is_the_first_of_the_leaderboard():
    sizes = {0: 9, 1: 7, 2: 1}
    events: list[Event] = [started(), *(proposed(id, 1000, parameters=size) for id, size in sizes.items())]
    events += [finished(0, 1001, 1, 0.75), finished(1, 1001, 1, 0.75), finished(2, 1001, 1, 0.5)]
    best = status(events).best
    assert best is not None
    assert (best.child, best.arch_id, best.accuracy) == (1, f"{1:012x}", 0.75)
    assert best.child == RecordedRun(Path("run"), events).entries[0].child
    assert status(FIRST_SHIFT[:4]).best is None


INTERRUPTED = Interrupted(time=1013, reason="SIGTERM", children=(2, 3))


def test_what_ended_a_driver_and_when_is_told_until_another_takes_over():
    found = status([*FIRST_SHIFT, INTERRUPTED], now=9999, driver="gone")
    assert (found.ended_by, found.active_seconds, found.last_event) == ("SIGTERM", 13, 1013)
    assert found.children.interrupted == 3
    assert status([*FIRST_SHIFT, INTERRUPTED, resumed(2000)]).ended_by is None


def test_interrupted_children_are_called_so_until_they_are_taken_up_again():
    def interrupted(events: list[Event]) -> list[int]:
        return [record.id for record in records_of(events).values() if record.is_interrupted]

    events: list[Event] = [*FIRST_SHIFT, INTERRUPTED.model_copy(update={"children": (1, 2, 3, 99)})]
    assert interrupted(events) == [2, 3]
    assert interrupted([*events, resumed(2000)]) == []


def test_scores_of_other_children_are_counted_as_reused():
    own, other = finished(0, 1001, 1), finished(1, 1001, 0).model_copy(update={"reused_from": 0})
    memo = finished(2, 1001, 0).model_copy(update={"memo": Origin(run_id="r", folder="f", child=3)})
    found = status([started(), *(proposed(child, 1000) for child in range(3)), own, other, memo])
    assert (found.children.done, found.children.completed, found.children.reused) == (3, 3, 2)


def test_a_complete_run_needs_no_driver():
    events: list[Event] = [started(children=1), proposed(0, 1000), finished(0, 1001, 1)]
    assert status(events, driver="unknown").driver == "gone"


@pytest.mark.parametrize("children", [None, "many", [3], 2.5])
def test_a_config_that_does_not_say_how_many_children_leaves_that_open(children):
    found = status([started(children=children), *FIRST_SHIFT[1:]])
    assert (found.children.asked, found.children.to_come, found.seconds_left) == (None, None, None)
    assert found.children.done == 2
    assert not found.is_complete


@pytest.mark.slow
def test_a_long_run_is_counted_as_well():
    events: list[Event] = [started(children=20_000, slots=450)]
    for child in range(20_000):
        events += [proposed(child, 1000 + child), finished(child, 1000 + child, 1, child / 20_000)]
    found = status(events, now=30_000)
    assert (found.children.done, found.active_seconds) == (20_000, 19_999)
    assert found.utilisation == pytest.approx(20_000 / (450 * 19_999))


ids, times = st.integers(0, 5), st.floats(0, 4e9)
any_event = st.one_of(
    st.builds(proposed, ids, times),
    st.builds(finished, ids, times, st.floats(0, MAX_SECONDS), st.none() | st.floats(0, 1)),
    st.builds(
        lambda child, time: Finished(child=child, time=time, reward=None, result=infeasible()), ids, times
    ),
    st.builds(Interrupted, time=times, reason=st.text(), children=st.lists(ids, max_size=3).map(tuple)),
    st.builds(resumed, times, children=st.integers(1, 9), slots=st.integers(1, 4)),
)


@given(
    st.lists(any_event, max_size=20),
    times,
    st.sampled_from(["running", "gone", "unknown"]),
    st.integers(0, 9),
)
def test_whatever_a_journal_says_has_a_status(events, now, driver, children):
    found = status([started(children=children), *events], now=now, driver=driver)
    counts = found.children
    unfinished = counts.running + counts.waiting + counts.interrupted
    seen = {event.child for event in events if isinstance(event, Proposed)}
    assert counts.done + unfinished + counts.infeasible == len(seen)
    assert found.utilisation is None or 0 <= found.utilisation <= 1
    assert found.active_seconds >= 0
    json.loads(found.model_dump_json())
