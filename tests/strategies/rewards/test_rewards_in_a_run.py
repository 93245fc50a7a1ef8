"""Runs under a reward: what the strategy is told, the leaderboard's front, latencies beyond the limit."""

from __future__ import annotations

from typing import Any

import pytest

import raynas.run.failures
from raynas.child import ChildResult, LimitsConfig
from raynas.errors import SearchFailed
from raynas.nn import Complexity
from raynas.run.events import Finished
from raynas.run.leaderboard import final_front, leaderboard
from raynas.run.records import outcome_of
from raynas.run.run import Run
from raynas.strategies.rewards.pareto import ParetoConfig, recorded_trade
from raynas.strategies.rewards.reward import make_reward
from tests.run.builders import Diary, completed, failed, make_run

TRADE = ParetoConfig(worst_cost=100)
ENDS = [(0.5, 50), (0.75, 80), (0.375, 60), (0.25, 20), (None, 10), (0.75, 80), (0.125, 200)]
"""Accuracy and parameters of each child, in order."""


def pareto_run(**words: Any) -> Run:
    sizes = iter([parameters for _, parameters in ENDS])
    return make_run(
        num_children=len(ENDS),
        reward=make_reward("pareto", **TRADE.model_dump()),
        measure=lambda genotype: Complexity(next(sizes)),
        **words,
    )


def train(run: Run, count: int = len(ENDS)) -> None:
    for accuracy, _ in ENDS[run.num_finished : run.num_finished + count]:
        child = run.next_child()
        run.finish(child.id, failed() if accuracy is None else completed(accuracy))


def test_the_strategy_is_told_what_a_child_adds_to_those_before_it():
    run = pareto_run()
    train(run)
    rewards = [record.reward for record in run.records.values()]
    expected = [0.25, 0.05, -0.1, 0.075, None, 0.0, None]
    assert [None if reward is None else round(reward, 9) for reward in rewards[:6]] == expected[:6]
    assert rewards[6] < -1.0


@pytest.mark.parametrize("strategy", ["random", "ppo"])
def test_a_resumed_run_goes_on_with_the_same_front(strategy):
    whole = pareto_run(strategy=strategy)
    train(whole)
    for cut in range(len(whole.events)):
        run = pareto_run(strategy=strategy)
        run.replay(whole.events[:cut])
        for event in whole.events[cut:]:
            if isinstance(event, Finished):
                outcome = outcome_of(whole.records[event.child].proposed, event.result)
                assert run.state.reward(outcome) == event.reward
                run.state.reward.observe(outcome)


def test_the_leaderboard_has_the_front_first_and_then_the_nearest_to_it():
    run = pareto_run()
    train(run)
    entries = leaderboard(run.records.values(), trade=TRADE)
    assert [(entry.child, entry.on_front) for entry in entries] == [
        (1, True),
        (5, True),
        (0, True),
        (3, True),
        (2, False),
        (6, False),
        (4, False),
    ]
    assert final_front(run.records.values(), TRADE).hypervolume() == pytest.approx(0.375)


def test_the_trade_of_a_run_is_read_from_its_config_and_never_trusted():
    assert recorded_trade({"reward": {"name": "pareto", "cost": "mult_adds", "worst_cost": 7}}) == (
        ParetoConfig(cost="mult_adds", worst_cost=7)
    )
    for config in (
        {},
        {"reward": "pareto"},
        {"reward": {"name": "accuracy"}},
        {"reward": {"name": "pareto"}},
    ):
        assert recorded_trade(config) is None


def too_slow(latency_ms: float = 9.0) -> ChildResult:
    return ChildResult(
        status="infeasible", latency_ms=latency_ms, reason="latency_ms 9 > limits.latency_ms 5"
    )


def slow_run(**words: Any) -> Run:
    return make_run(limits=LimitsConfig(latency_ms=5), **words)


def test_a_limit_of_latency_needs_no_size_and_names_both_numbers():
    limits = LimitsConfig(latency_ms=5)
    assert limits.excess_latency(7.12345) == "latency_ms 7.123 > limits.latency_ms 5"
    assert limits.excess_latency(5.0) == LimitsConfig().excess_latency(1e9) == ""
    slow_run()


def test_a_child_that_is_too_slow_is_no_child_of_the_run_and_another_comes_in_its_place():
    diary = Diary()
    run = slow_run(num_children=2, listeners=[diary])
    first, second = run.next_child(), run.next_child()
    assert run.next_child() is None
    assert run.has_more
    run.finish(first.id, too_slow())
    assert (run.num_infeasible, run.num_finished) == (1, 0)
    third = run.next_child()
    assert third.id == 2
    run.finish(second.id, completed())
    run.finish(third.id, completed())
    assert run.is_complete
    assert not run.has_more
    assert diary.lines == [
        "proposed 0",
        "proposed 1",
        "refused 0",
        "proposed 2",
        "finished 1 completed",
        "finished 2 completed",
    ]


def test_a_resumed_run_remembers_who_was_too_slow():
    run = slow_run(num_children=2)
    run.finish(run.next_child().id, too_slow())
    run.finish(run.next_child().id, completed())
    run.next_child()
    again = slow_run(num_children=2)
    again.replay(run.events)
    assert (again.num_infeasible, again.num_finished) == (1, 1)
    assert again.next_child().id == 2
    again.finish(2, completed())
    assert again.is_complete


def test_a_search_in_which_all_are_too_slow_ends_with_the_fastest_one(monkeypatch):
    monkeypatch.setattr(raynas.run.failures, "MAX_REFUSALS_IN_A_ROW", 3)
    run = slow_run(num_children=9)
    for result in (too_slow(), too_slow(), completed().model_copy(update={"latency_ms": 4.0}), too_slow(8.0)):
        run.finish(run.next_child().id, result)
    run.finish(run.next_child().id, too_slow(7.0))
    with pytest.raises(SearchFailed, match=r"limits\.latency_ms = 5 \(fastest: 7\)"):
        run.finish(run.next_child().id, too_slow())
