"""What a run's report draws: laws of its series, and what it makes of a journal that was changed by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.programs.report.run.history import (
    best_so_far,
    by_policy_version,
    ended_children,
    log_prob,
    num_different,
    operation_shares,
    parts_of,
    policy_version,
    running_mean,
    uniform_entropy,
)
from raynas.run.recorded import RecordedRun
from raynas.strategies.ppo import PPO
from raynas.strategies.strategy import make_strategy
from search_spaces.nasnet import NASNetSpace
from tests.programs.report.journals import finished, proposed, resumed, started
from tests.run.builders import infeasible, record

SPACE = NASNetSpace(num_blocks=2)
values = st.floats(-1, 1)


@given(st.lists(st.none() | values))
def test_the_best_so_far_is_the_largest_of_all_before(found):
    best = best_so_far(found)
    for place, value in enumerate(best):
        known = [one for one in found[: place + 1] if one is not None]
        assert value == (max(known) if known else None)


@given(st.lists(values, min_size=1), st.integers(1, 9))
def test_a_running_mean_is_that_of_the_last_values(found, window):
    means = running_mean(found, window)
    assert len(means) == len(found)
    for place, mean in enumerate(means):
        last = found[: place + 1][-window:]
        assert mean == pytest.approx(sum(last) / len(last), abs=1e-9)


@given(st.integers(1, 100), st.integers(1, 12))
def test_parts_cover_all_once_and_are_nearly_equal(count, most):
    parts = parts_of(count, most)
    assert [number for part in parts for number in part] == list(range(count))
    assert len(parts) == min(count, most)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_hours_are_those_of_drivers_at_work_and_infeasible_proposals_are_no_children():
    events = [
        started(),
        proposed(0),
        proposed(1),
        proposed(2),
        finished(0, at=1800),
        resumed(at=9000),
        finished(2, at=9360, reward=None, result=infeasible()),
        finished(1, at=9720),
        finished(7, at=9720),
    ]
    ended = ended_children(RecordedRun(Path("one"), events))
    assert [(child.record.id, child.hours) for child in ended] == [(0, 0.5), (1, 0.7)]


@given(st.lists(st.tuples(*[st.integers(0, len(d.choices) - 1) for d in SPACE.decisions]), min_size=1))
def test_shares_of_operations_are_counted_and_sum_to_one(actions):
    parts = parts_of(len(actions), 3)
    shares = operation_shares(actions, SPACE.decisions, parts)
    assert set(shares) == set(SPACE.operations)
    for index, part in enumerate(parts):
        chosen = Counter(
            decision.choices[actions[number][place]]
            for number in part
            for place, decision in enumerate(SPACE.decisions)
            if decision.kind == "op"
        )
        for name, share in shares.items():
            assert share[index] == pytest.approx(chosen[name] / chosen.total())


def test_actions_that_are_not_of_the_space_count_for_nothing():
    shares = operation_shares([(0,), (99,) * len(SPACE.decisions)], SPACE.decisions, [range(2)])
    assert {share for shares in shares.values() for share in shares} == {0.0}


def test_the_entropy_of_a_policy_that_knows_nothing_is_estimated_from_what_it_draws():
    strategy = make_strategy("ppo", SPACE, seed=0, hidden_units=8)
    assert isinstance(strategy, PPO)
    draws = [strategy.propose() for _ in range(200)]
    records = [record(draw.id) for draw in draws]
    with_info = [
        type(one)(one.proposed.model_copy(update={"info": dict(draw.info)}))
        for one, draw in zip(records, draws, strict=True)
    ]
    (version,) = by_policy_version(with_info)
    estimate = -sum(version.log_probs) / len(version.log_probs)
    assert version.version == 0
    assert estimate == pytest.approx(uniform_entropy(SPACE.decisions), rel=0.01)


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"policy_version": "1", "log_probs": "-1"},
        {"policy_version": True, "log_probs": []},
        {"policy_version": -1, "log_probs": [-1.0, None]},
        {"policy_version": 2.5, "log_probs": {"a": -1.0}},
        {"policy_version": 10**40, "log_probs": [math.nan]},
        {"policy_version": None, "log_probs": [-(10**400)]},
    ],
)
def test_what_a_strategy_wrote_in_another_form_is_not_known(info):
    one = record(0)
    one = type(one)(one.proposed.model_copy(update={"info": info}))
    assert (policy_version(one), log_prob(one)) == (None, None)
    assert by_policy_version([one]) == []


def test_a_reward_that_no_chart_can_hold_is_left_out():
    for reward in (1e300, -1e300):
        events = [started(), proposed(0), finished(0, at=1, reward=reward)]
        (child,) = ended_children(RecordedRun(Path("one"), events))
        assert child.reward is None
        assert num_different([child.record]) == 1
