"""A run with a budget of time hands out no child that would end too late."""

from __future__ import annotations

import pytest

from raynas.run.time_budget import TimeBudget
from tests.run.builders import completed, failed, make_run


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_until_a_child_has_ended_each_slot_gets_one(clock):
    budget = TimeBudget(10.0, num_slots=2, clock=clock)
    assert [budget.allows_another(out) for out in (0, 1, 2)] == [True, True, False]
    assert not budget.is_over


@pytest.mark.parametrize(
    ("passed", "num_out", "allowed"),
    [(0, 0, True), (6, 0, True), (6.5, 0, False), (2, 2, True), (4.5, 2, False), (4, 1, True)],
)
def test_a_child_must_end_in_the_time_that_is_left(clock, passed, num_out, allowed):
    budget = TimeBudget(10.0, num_slots=2, clock=clock)
    budget.child_ended(3.0)
    budget.child_ended(5.0)
    clock.now += passed
    assert budget.mean_seconds == 4.0
    assert budget.allows_another(num_out) is allowed


def test_it_is_over_when_a_lone_child_would_end_too_late(clock):
    budget = TimeBudget(10.0, clock=clock)
    budget.child_ended(4.0)
    clock.now += 6.0
    assert not budget.is_over
    clock.now += 0.1
    assert budget.is_over and budget.seconds_left == pytest.approx(3.9)


def test_a_run_out_of_time_hands_out_no_child_and_is_resumable(clock):
    run = make_run(num_children=4, budget=TimeBudget(2.0, clock=clock))
    first = run.next_child()
    assert run.next_child() is None and run.has_more
    clock.now += 1.5
    run.finish(first.id, completed())
    assert run.next_child() is None
    assert run.is_out_of_time and not run.has_more and not run.is_complete


def test_a_run_with_time_left_goes_on(clock):
    run = make_run(num_children=2, budget=TimeBudget(60.0, clock=clock))
    for child_id in (0, 1):
        assert run.next_child().id == child_id
        run.finish(child_id, failed())
    assert run.is_complete and not run.is_out_of_time


def test_workers_that_join_get_children(clock):
    run = make_run(num_children=9, budget=TimeBudget(60.0, clock=clock))
    assert [child and child.id for child in (run.next_child(), run.next_child())] == [0, None]
    run.resized(2)
    assert run.next_child().id == 1
