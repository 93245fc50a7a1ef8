"""The contract check of rewards finds each promise that a reward breaks."""

from __future__ import annotations

import itertools
import math

import pytest

from raynas.strategies.rewards.reward import Outcome, Reward
from raynas.testing import check_reward


class Improvement(Reward):
    """How much better a child is than the best before it."""

    best = 0.0

    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        return accuracy - self.best

    def observe(self, outcome: Outcome) -> None:
        self.best = max(self.best, outcome.accuracy or 0.0)


class UnknownCost(Improvement):
    costs = ("weight",)  # type: ignore[assignment]


class ScoresFailures(Improvement):
    def __call__(self, outcome: Outcome) -> float | None:
        return 0.0 if outcome.accuracy is None else super().__call__(outcome)


class Infinite(Improvement):
    def __call__(self, outcome: Outcome) -> float | None:
        return math.inf


class ObservesInItsScore(Improvement):
    """A resumed run observes outcomes without asking for their rewards."""

    scored = 0.0

    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        self.scored = accuracy
        return accuracy - self.best

    def observe(self, outcome: Outcome) -> None:
        self.best = max(self.best, self.scored)


class Counts(Improvement):
    calls = itertools.count()

    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        return accuracy + next(self.calls)


class GuessesCosts(Improvement):
    costs = ("parameters",)

    def missing(self, outcome: Outcome):
        return ()


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (UnknownCost, "there is no cost 'weight'"),
        (ScoresFailures, "a child that is failed has the reward 0.0"),
        (Infinite, "is inf"),
        (ObservesInItsScore, "depends on more than observed outcomes"),
        (Counts, "changes when it is asked for twice"),
        (GuessesCosts, r"missing\(\) is \(\), not \('parameters',\)"),
    ],
)
def test_a_broken_promise_is_found(reward, message):
    with pytest.raises(AssertionError, match=message):
        check_reward(reward())


def test_a_sound_reward_passes():
    check_reward(Improvement())
