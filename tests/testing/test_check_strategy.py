"""The contract check of strategies finds each promise that a strategy breaks."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from raynas.cells.space import Actions
from raynas.strategies.mutation import random_actions
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig
from raynas.testing import check_strategy
from search_spaces.nasnet import NASNetSpace

SPACE = NASNetSpace(num_blocks=1)


class Sound(Strategy):
    """Proposes the best again from time to time."""

    best: tuple[float, Actions] = (-1.0, ())

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        rng = random.Random(f"{self.seed}/{proposal_id}")
        repeats = self.best[1] and rng.random() < 0.5
        return self.best[1] if repeats else random_actions(self.space, rng), {}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        self.best = max(self.best, (reward, proposal.actions))
        return {"best": self.best[0]}


class TooManyActions(Sound):
    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        actions, info = super()._draw(proposal_id)
        return (*actions, 0), info


class InfoThatJsonChanges(Sound):
    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        return super()._draw(proposal_id)[0], {"pair": (1, 2)}


class OwnRandomness(Sound):
    drawn = itertools.count()

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        return super()._draw(next(self.drawn))


class GlobalRandomness(Sound):
    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        random.random()
        return super()._draw(proposal_id)


class LearnsFromNone(Sound):
    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        return super().observe(proposal, -1.0 if reward is None else reward)


class LearnsFromInfinity(Sound):
    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        if reward == float("inf"):
            self.best = (2.0, proposal.actions)
        return super().observe(proposal, reward)


class LearnsTwice(Sound):
    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        if reward and proposal.id < self._next_id and proposal.id not in self._pending:
            self.best = max(self.best, (reward, proposal.actions))
        return super().observe(proposal, reward)


class LearnsFromStrangers(Sound):
    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        self._pending.add(proposal.id)
        return super().observe(proposal, reward)


class RemembersOnlyItsOwn(Sound):
    """What it drew itself is known to it; what it adopted in a replay isn't."""

    def propose(self) -> Proposal:
        proposal = super().propose()
        self.best = max(self.best, (0.5, proposal.actions))
        return proposal


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (TooManyActions, "outside the search space: 11 actions for 10 decisions"),
        (InfoThatJsonChanges, "doesn't survive JSON"),
        (OwnRandomness, "two strategies with one seed differ in proposal 0"),
        (GlobalRandomness, "draws from global random numbers"),
        (LearnsFromNone, "reward None after None returned"),
        (LearnsFromInfinity, "rewards of None and inf are not treated alike"),
        (LearnsTwice, "a second reward for a proposal is not ignored|rewards of None and"),
        (LearnsFromStrangers, "returned"),
        (RemembersOnlyItsOwn, "replay"),
    ],
)
def test_a_broken_promise_is_found(strategy, message):
    with pytest.raises(AssertionError, match=message):
        check_strategy(lambda seed: strategy(SPACE, StrategyConfig(), seed=seed))


def test_a_sound_strategy_passes():
    check_strategy(lambda seed: Sound(SPACE, StrategyConfig(), seed=seed))


def test_a_state_that_is_given_is_compared():
    class Hidden(Sound):
        """Counts what it was asked for, which shows in no proposal."""

        num_calls = 0

        def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
            self.num_calls += 1
            return super().observe(proposal, reward)

    with pytest.raises(AssertionError, match="a reward of None changed the state"):
        check_strategy(lambda seed: Hidden(SPACE, StrategyConfig(), seed=seed), state=lambda s: s.num_calls)
