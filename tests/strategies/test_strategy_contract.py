"""Every registered strategy keeps its promises, down to the bits of what it has learned."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from raynas.errors import InvalidConfig, UnknownName
from raynas.strategies.ego import EGO
from raynas.strategies.ppo import PPO
from raynas.strategies.strategy import STRATEGIES, Strategy, make_strategy
from raynas.testing import check_strategy
from search_spaces.nasnet import NASNetSpace

SPACE = NASNetSpace(num_blocks=1)
SMALL_OPTIONS: dict[str, dict[str, Any]] = {
    "ppo": {"batch_size": 3, "hidden_units": 6, "learning_rate": 0.05},
    "ego": {"batch_size": 3, "hidden_units": 6, "candidates": 8, "mutations": 8, "random_children": 4},
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
    fitted = (process._kernel, process._num_when_chosen)
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


@pytest.mark.slow
@every_strategy
def test_it_keeps_the_promises_of_every_strategy(name):
    check_strategy(lambda seed: make(name, seed=seed), state=state)


@every_strategy
def test_other_seeds_give_other_proposals(name):
    drawn = {make(name, seed=seed).propose().actions for seed in range(10)}
    assert len(drawn) == 10


@every_strategy
def test_proposals_are_not_all_alike(name):
    strategy = make(name)
    assert len({strategy.propose().actions for _ in range(30)}) > 20


@every_strategy
def test_a_draw_depends_on_the_proposals_number_and_not_on_those_before(name):
    whole, late = make(name), make(name)
    proposals = [whole.propose() for _ in range(4)]
    late.adopt(proposals[2])
    assert late.propose() == proposals[3]


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
