"""REINFORCE: its step is the one written out by hand, and it learns."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from raynas.cells.space import make_space
from raynas.strategies.reinforce import Reinforce
from raynas.strategies.strategy import make_strategy
from tests.strategies.searching import SPACE, TARGET, closeness, search


def make(**options: float) -> Reinforce:
    return cast(Reinforce, make_strategy("reinforce", SPACE, seed=0, **options))


def test_its_steps_are_those_of_the_policy_gradient_and_of_adam_by_hand():
    """Williams 1992, and Kingma and Ba 2015 (arXiv 1412.6980), algorithm 1."""
    strategy = make(learning_rate=0.1)
    logits_TK = strategy.logits_TK.detach().numpy().copy()
    mean_TK = square_TK = np.zeros_like(logits_TK)
    numerator = denominator = 0.0
    for step in range(1, 31):
        proposal = strategy.propose()
        reward = closeness(proposal.actions)
        numerator, denominator = 0.9 * numerator + 0.1 * reward, 0.9 * denominator + 0.1
        probabilities_TK = np.exp(logits_TK) / np.exp(logits_TK).sum(axis=1, keepdims=True)
        drawn_TK = np.eye(logits_TK.shape[1])[list(proposal.actions)]
        gradient_TK = (reward - numerator / denominator) * (probabilities_TK - drawn_TK)
        mean_TK = 0.9 * mean_TK + 0.1 * gradient_TK
        square_TK = 0.999 * square_TK + 0.001 * gradient_TK**2
        unbiased_TK, deviation_TK = mean_TK / (1 - 0.9**step), np.sqrt(square_TK / (1 - 0.999**step))
        logits_TK -= 0.1 * unbiased_TK / (deviation_TK + 1e-8)
        statistics = strategy.observe(proposal, reward)
        assert statistics is not None
        assert statistics["baseline"] == pytest.approx(numerator / denominator)
        np.testing.assert_allclose(strategy.logits_TK.detach().numpy(), logits_TK, atol=1e-9)


def test_it_comes_to_the_best_choice_of_every_decision():
    strategy = make(learning_rate=0.1)
    search(strategy, 600)
    assert tuple(strategy.logits_TK.argmax(dim=1).tolist()) == TARGET


def test_it_never_draws_what_is_no_choice_of_a_decision():
    space = make_space("nasnet", num_blocks=2)
    strategy = make_strategy("reinforce", space, seed=0, learning_rate=1.0)
    for _ in range(300):
        proposal = strategy.propose()
        space.check(proposal.actions)
        strategy.observe(proposal, float(sum(proposal.actions)))


def test_its_first_draws_are_nearly_uniform():
    strategy = make()
    drawn_BT = np.array([strategy.propose().actions for _ in range(2000)])
    for decision_B in drawn_BT.T:
        # 400 expected of each, with a deviation of 18.
        assert all(300 < count < 500 for count in np.bincount(decision_B, minlength=5))
