"""REINFORCE: its step is torch's, and it learns."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from raynas.cells.space import make_space
from raynas.strategies.reinforce import Reinforce
from raynas.strategies.strategy import make_strategy
from tests.strategies.searching import SPACE, TARGET, closeness, search


def make(**options: float) -> Reinforce:
    return cast(Reinforce, make_strategy("reinforce", SPACE, seed=0, **options))


def test_its_steps_are_those_of_autograd_and_torchs_adam():
    strategy = make(learning_rate=0.1)
    logits_TK = torch.tensor(strategy.logits_TK, requires_grad=True)
    optimizer = torch.optim.Adam([logits_TK], lr=0.1)
    numerator = denominator = 0.0
    for _ in range(30):
        proposal = strategy.propose()
        reward = closeness(proposal.actions)
        numerator, denominator = 0.9 * numerator + 0.1 * reward, 0.9 * denominator + 0.1
        log_probs_T = logits_TK.log_softmax(1).gather(1, torch.tensor(proposal.actions)[:, None])
        optimizer.zero_grad()
        (-log_probs_T * (reward - numerator / denominator)).sum().backward()
        optimizer.step()
        statistics = strategy.observe(proposal, reward)
        assert statistics is not None
        assert statistics["baseline"] == pytest.approx(numerator / denominator)
        np.testing.assert_allclose(strategy.logits_TK, logits_TK.detach().numpy(), atol=1e-9)


def test_it_comes_to_the_best_choice_of_every_decision():
    strategy = make(learning_rate=0.1)
    search(strategy, 600)
    assert tuple(strategy.logits_TK.argmax(axis=1)) == TARGET


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
