"""What holds for every strategy: draws depend on the seed, and events alone restore the state."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raynas.errors import InvalidConfig, UnknownName
from raynas.strategies.ego import EGO
from raynas.strategies.ppo import PPO
from raynas.strategies.strategy import STRATEGIES, Proposal, Strategy, make_strategy
from search_spaces.nasnet import NASNetSpace

SPACE = NASNetSpace(num_blocks=1)
SMALL_OPTIONS: dict[str, dict[str, Any]] = {
    "ppo": {"batch_size": 3, "hidden_units": 6, "learning_rate": 0.05},
    "ego": {"batch_size": 3, "hidden_units": 6, "candidates": 8, "random_children": 4},
    "reinforce": {"learning_rate": 0.3},
    "evolution": {"population": 4, "sample": 2},
    "local_search": {"starts": 2},
}
"""A strategy that isn't named here is tested with its defaults."""
every_strategy = pytest.mark.parametrize("name", STRATEGIES.names())


def make(name: str, *, seed: int = 0) -> Strategy:
    return make_strategy(name, SPACE, seed=seed, **SMALL_OPTIONS.get(name, {}))


def state(strategy: Strategy) -> Any:
    """Whatever a strategy learned, tensors by their bits; not what it was given, nor what it has proposed."""
    if not isinstance(strategy, PPO):
        given = ("space", "config", "seed")
        attributes = vars(strategy)
        return plain({name: attributes[name] for name in attributes if name[0] != "_" and name not in given})
    moments = strategy.optimizer.state_dict()["state"].values()
    return (
        strategy.baseline,
        strategy.policy_version,
        [bits(tensor) for tensor in strategy.controller.state_dict().values()],
        [[bits(tensor) for tensor in moment.values()] for moment in moments],
        list(strategy._recent),
        surrogate(strategy),
    )


def surrogate(strategy: PPO) -> Any:
    if not isinstance(strategy, EGO):
        return None
    process = strategy.process
    fitted = (process._length, process._noise, process._num_when_chosen)
    return (list(process._actions), list(process._rewards), fitted, sorted(strategy._running))


def plain(value: Any) -> Any:
    """A copy that can be compared: arrays by their bits, an object by its attributes."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, torch.Tensor):
        return bits(value)
    if isinstance(value, torch.optim.Optimizer):
        return plain(value.state_dict()["state"])
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return plain(vars(value)) if hasattr(value, "__dict__") else copy.deepcopy(value)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().numpy().tobytes()


@dataclass
class History:
    """Proposals and rewards in the order they came, as a journal records them."""

    strategy: Strategy
    events: list[str] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    def propose(self) -> None:
        proposal = self.strategy.propose()
        self.proposals.append(proposal)
        self.events.append(json.dumps(asdict(proposal)))

    def observe(self, index: int, reward: float | None) -> None:
        if self.proposals:
            proposal = self.proposals[index % len(self.proposals)]
            self.strategy.observe(proposal, reward)
            self.events.append(json.dumps([proposal.id, reward]))

    def replay_into(self, strategy: Strategy) -> None:
        proposals: dict[int, Proposal] = {}
        for event in map(json.loads, self.events):
            if isinstance(event, dict):
                proposal = Proposal(event["id"], tuple(event["actions"]), event["info"])
                proposals[proposal.id] = proposal
                strategy.adopt(proposal)
            else:
                strategy.observe(proposals[event[0]], event[1])


@every_strategy
def test_equal_seeds_give_equal_proposals(name):
    assert [make(name, seed=5).propose() for _ in range(2)] == [make(name, seed=5).propose()] * 2
    one, other = make(name, seed=5), make(name, seed=5)
    assert [one.propose() for _ in range(10)] == [other.propose() for _ in range(10)]


@every_strategy
def test_other_seeds_give_other_proposals(name):
    drawn = {tuple(make(name, seed=seed).propose().actions for _ in range(1)) for seed in range(10)}
    assert len(drawn) == 10


@every_strategy
def test_proposals_are_numbered_valid_and_not_all_alike(name):
    strategy = make(name)
    proposals = [strategy.propose() for _ in range(30)]
    assert [proposal.id for proposal in proposals] == list(range(30))
    assert len({proposal.actions for proposal in proposals}) > 20
    for proposal in proposals:
        SPACE.check(proposal.actions)


@every_strategy
def test_a_proposal_survives_json(name):
    proposal = make(name).propose()
    again = json.loads(json.dumps(asdict(proposal)))
    assert Proposal(again["id"], tuple(again["actions"]), again["info"]) == proposal


@every_strategy
def test_a_draw_depends_on_the_proposals_number_and_not_on_those_before(name):
    whole, late = make(name), make(name)
    proposals = [whole.propose() for _ in range(4)]
    late.adopt(proposals[2])
    assert late.propose() == proposals[3]


@every_strategy
def test_proposing_does_not_touch_global_randomness(name):
    strategy = make(name)
    before = torch.get_rng_state()
    strategy.propose()
    assert torch.equal(torch.get_rng_state(), before)


@every_strategy
@pytest.mark.parametrize("reward", [None, math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_teaches_nothing(name, reward):
    strategy = make(name)
    before = state(strategy)
    for _ in range(7):
        assert strategy.observe(strategy.propose(), reward) is None
    assert state(strategy) == before


@every_strategy
def test_a_proposal_is_observed_once(name):
    once, often = make(name), make(name)
    for index in range(7):
        reward = index / 7
        once.observe(once.propose(), reward)
        proposal = often.propose()
        for again in (reward, 1.0, None):
            often.observe(proposal, again)
    assert state(once) == state(often)
    assert once.propose() == often.propose()


@every_strategy
def test_a_late_reward_after_none_teaches_nothing(name):
    strategy = make(name)
    before = state(strategy)
    for _ in range(7):
        proposal = strategy.propose()
        strategy.observe(proposal, None)
        assert strategy.observe(proposal, 1.0) is None
    assert state(strategy) == before


@every_strategy
def test_a_strangers_proposal_teaches_nothing(name):
    strategy, stranger = make(name), make(name, seed=1)
    before = state(strategy)
    assert [strategy.observe(stranger.propose(), 1.0) for _ in range(7)] == [None] * 7
    assert state(strategy) == before


rewards = st.floats(0, 1) | st.sampled_from([None, math.nan, 0.0, 1.0])
event_orders = st.lists(st.just("propose") | st.tuples(st.integers(0, 30), rewards), min_size=1, max_size=50)


@every_strategy
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(orders=event_orders)
def test_replaying_the_recorded_events_restores_the_state(name, orders):
    history = History(make(name))
    for order in orders:
        history.propose() if order == "propose" else history.observe(*order)
    restored = make(name)
    history.replay_into(restored)
    assert state(restored) == state(history.strategy)
    assert [restored.propose() for _ in range(5)] == [history.strategy.propose() for _ in range(5)]


@every_strategy
def test_replaying_a_long_asynchronous_run_restores_the_state(name):
    """Ten children at a time, finishing in another order than they began, over many updates."""
    history = History(make(name))
    for index in range(60):
        history.propose()
        if index >= 10:
            history.observe(index - 3 * (index % 4), None if index % 9 == 0 else index % 7 / 7)
    restored = make(name)
    history.replay_into(restored)
    assert state(restored) == state(history.strategy)
    assert [restored.propose() for _ in range(5)] == [history.strategy.propose() for _ in range(5)]
    if isinstance(restored, PPO):
        assert restored.policy_version >= 5


@every_strategy
def test_an_unknown_option_is_refused(name):
    with pytest.raises(InvalidConfig, match=r"strategy\.temperature is not an option"):
        make_strategy(name, SPACE, seed=0, temperature=2.0)


def test_an_unknown_strategy_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match=r"No strategy is called 'pop'\. Did you mean 'ppo'\?"):
        make_strategy("pop", SPACE, seed=0)
    assert {"ppo", "random"} <= set(STRATEGIES.names())


def test_random_search_draws_every_choice_equally_often():
    strategy = make("random")
    drawn = [strategy.propose().actions for _ in range(2000)]
    for index, decision in enumerate(SPACE.decisions):
        num_choices = len(decision.choices)
        counts = [sum(actions[index] == choice for actions in drawn) for choice in range(num_choices)]
        expected = 2000 / num_choices
        chi_squared = sum((count - expected) ** 2 / expected for count in counts)
        # Beyond any chance: 99.99 % of 12 degrees of freedom lie below 39.
        assert chi_squared < 45
