"""Rewards: the promises of every one, MnasNet's form on examples, and mistakes in their options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.child import ChildResult
from raynas.config import parse_assignments
from raynas.errors import InvalidConfig, RunFolderError, UnknownName, UsageError
from raynas.programs.search.config import resumed_search_config
from raynas.programs.search.recipes import search_config
from raynas.strategies.rewards.reward import REWARDS, Outcome, Reward, make_reward
from raynas.testing import check_reward

OPTIONS: dict[str, dict[str, Any]] = {"mnasnet": {"parameters": 100}, "pareto": {"worst_cost": 1000}}
"""A reward that isn't named here is tested with its defaults."""


def outcome(
    accuracy: float | None = 0.5,
    *,
    status: Any = "completed",
    latency_ms: float | None = None,
    parameters: int | None = 100,
    mult_adds: int | None = 2000,
) -> Outcome:
    result = ChildResult(status=status, accuracy=accuracy, latency_ms=latency_ms)
    return Outcome(result, parameters=parameters, mult_adds=mult_adds)


def make(name: str) -> Reward:
    return make_reward(name, **OPTIONS.get(name, {}))


def mnasnet(**options: Any) -> Reward:
    return make_reward("mnasnet", **options)


@pytest.mark.parametrize("name", REWARDS.names())
def test_every_reward_keeps_its_promises(name):
    check_reward(make(name))


def test_the_accuracy_is_the_last_one_of_a_stopped_child_too():
    assert make("accuracy")(outcome(0.25, status="stopped")) == 0.25


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"parameters": 100}, 0.5),
        ({"parameters": 50}, 0.5 * 2**-0.07),
        ({"parameters": 200}, 0.5 * 2**0.07),
        ({"parameters": 200, "alpha": 0, "beta": -1}, 0.5),
        ({"parameters": 50, "alpha": 0, "beta": -1}, 0.25),
        ({"mult_adds": 1000, "parameters": 200}, 0.5),
        ({"mult_adds": 1000, "parameters": 25, "alpha": 0, "beta": -1}, 0.5 / 2 / 4),
        ({"latency_ms": 4, "beta": -1}, 0.5 / 2),
    ],
)
def test_mnasnets_form_on_examples(options, expected):
    assert mnasnet(**options)(outcome(0.5, latency_ms=8.0)) == pytest.approx(expected, rel=1e-12)


def test_the_soft_exponent_is_the_papers():
    """Its section 3.2: twice the latency is worth 5 % of accuracy."""
    soft = mnasnet(latency_ms=100)
    slow, fast = soft(outcome(0.5 * 1.05, latency_ms=200)), soft(outcome(0.5, latency_ms=100))
    assert slow == pytest.approx(fast, rel=2e-3)


@given(
    accuracy=st.floats(0.01, 1),
    parameters=st.integers(1, 10**8),
    more=st.integers(1, 10**8),
    target=st.floats(1, 1e8),
)
def test_at_the_same_accuracy_a_larger_network_has_no_higher_reward(accuracy, parameters, more, target):
    reward = mnasnet(parameters=target)
    assert reward(outcome(accuracy, parameters=parameters + more)) <= reward(
        outcome(accuracy, parameters=parameters)
    )


def test_a_network_that_costs_nothing_has_no_reward_where_cheaper_is_better():
    assert mnasnet(parameters=100)(outcome(parameters=0)) is None
    assert mnasnet(parameters=100, alpha=0)(outcome(parameters=0)) == 0.5


def of_words(*words: str):
    return search_config(settings=parse_assignments(words))


def test_a_reward_and_its_options_are_recorded_whole():
    config = of_words("reward.name=mnasnet", "reward.latency_ms=5")
    assert config.reward.options["alpha"] == -0.07
    assert config.make_reward().costs == ("latency_ms",)
    assert search_config().reward.model_dump() == {"name": "accuracy"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reward.name=mnasnet"], "set one or more of reward.parameters, reward.mult_adds"),
        (["reward.name=pareto"], "reward.worst_cost is missing."),
        (["reward.name=pareto", "reward.worst_cost=0"], "reward.worst_cost = 0: Input should be greater"),
        (["reward.name=pareto", "reward.worst_cost=1", "reward.cost=weight"], "reward.cost = 'weight'"),
        (["reward.name=mnasnet", "reward.parameters=1", "reward.beta=1"], "reward.beta = 1: "),
        (["reward.worst_cost=3"], "reward.worst_cost is not an option."),
    ],
)
def test_an_option_that_cannot_be_is_named_with_what_is_allowed(words, message):
    with pytest.raises(InvalidConfig) as error:
        of_words(*words)
    assert message in str(error.value)


def test_a_reward_that_nobody_knows_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"No reward is called 'parto'\. Did you mean 'pareto'\?"):
        make_reward("parto")
    with pytest.raises(UsageError, match="is no reward"):
        make_reward("raynas.child:Child")


def test_a_users_own_class_is_found_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "my_rewards.py").write_text(
        "import raynas\n\nclass Small(raynas.Reward):\n"
        "    costs = ('parameters',)\n\n"
        "    def _score(self, outcome, accuracy):\n        return accuracy - outcome.parameters / 1000\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert make_reward("my_rewards:Small")(outcome(0.5)) == 0.4
    assert make_reward("my_rewards:Small")(outcome(0.5, parameters=None)) is None


@pytest.mark.parametrize(
    ("words", "is_measured"),
    [
        ([], False),
        (["latency.always=true"], True),
        (["limits.latency_ms=2.5"], True),
        (["reward.name=mnasnet", "reward.latency_ms=2.5"], True),
        (["reward.name=mnasnet", "reward.parameters=2.5"], False),
        (["reward.name=pareto", "reward.cost=latency_ms", "reward.worst_cost=9"], True),
    ],
)
def test_the_latency_is_measured_where_something_asks_for_it(words, is_measured):
    assert of_words(*words).measures_latency == is_measured


def test_a_run_cannot_be_resumed_with_another_reward():
    recorded = search_config(settings={"reward": {"name": "pareto", "worst_cost": 9}}).model_dump(mode="json")
    assert resumed_search_config(recorded, {"reward": {"name": "pareto"}}).reward.options["worst_cost"] == 9
    for asked in ({"name": "accuracy"}, {"worst_cost": 8}):
        with pytest.raises(RunFolderError, match=r"That run was started with reward\."):
            resumed_search_config(recorded, {"reward": asked})


def test_a_run_from_before_there_were_rewards_goes_on_with_the_accuracy():
    recorded = search_config().model_dump(mode="json")
    del recorded["reward"], recorded["latency"]
    assert resumed_search_config(recorded, {}).reward.name == "accuracy"
    with pytest.raises(RunFolderError, match=r"reward\.name = 'accuracy'"):
        resumed_search_config(recorded, {"reward": {"name": "pareto"}})
