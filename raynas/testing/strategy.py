"""What every strategy promises: valid proposals, and a state that recorded events restore."""

from __future__ import annotations

import json
import math
import pickle
import random
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from raynas.strategies.strategy import Proposal, Strategy

MakeStrategy = Callable[[int], Strategy]
"""Makes a new strategy with this seed."""
StateOf = Callable[[Any], object]
"""Returns what a strategy has learned, as a value that can be compared."""
NO_REWARDS = (None, math.nan, math.inf, -math.inf)
NUM_HISTORIES = 12
"""Number of random runs that are replayed."""
NUM_CONTINUED = 12
"""Number of proposals by which two strategies are compared."""


def check_strategy(make: MakeStrategy, *, state: StateOf | None = None) -> None:
    """Checks what raynas relies on in a strategy.

        def test_my_strategy():
            space = NASNetSpace(num_blocks=2)
            check_strategy(lambda seed: MyStrategy(space, MyConfig(), seed=seed))

    The function checks that

    - proposals are numbered, valid, the same for equal seeds, and unchanged by JSON;
    - a reward that is no finite number, comes twice, or belongs to a proposal of another strategy is ignored;
    - replaying the recorded events restores the strategy exactly, which is how a run is resumed;
    - global random numbers are left alone.

    Two strategies count as equal if they go on to make the same proposals and to return the same statistics.
    Options for small runs, such as a mini-batch of three, let the checks reach more of the code.

    Args:
        make: returns a new strategy with the given seed, always with the same space and options.
        state: returns what a strategy has learned, such as its weights. If it is given, states are compared
            too, which finds differences sooner.
    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    _check_proposals(make)
    _check_replay(make, state, random.Random(0))
    # Not earlier: a module that is imported on first use may draw random numbers itself (joblib does).
    before = _global_random_state()
    _check_ignored_rewards(make, state)
    _check_repeated_rewards(make, state)
    _check_foreign_proposals(make, state)
    for number in range(1, NUM_HISTORIES):
        _check_replay(make, state, random.Random(number))
    is_untouched = _global_random_state() == before
    assert is_untouched, "it draws from global random numbers; derive a generator from its seed instead"


def _check_proposals(make: MakeStrategy) -> None:
    strategy, twin = make(5), make(5)
    for number in range(30):
        proposal = strategy.propose()
        assert proposal.id == number, f"proposal {number} has the id {proposal.id}"
        assert isinstance(proposal.actions, tuple), f"actions must be a tuple, not {proposal.actions!r}"
        problem = _problem_of(strategy, proposal)
        assert not problem, f"proposal {proposal} is outside the search space: {problem}"
        assert _recorded(proposal) == proposal, f"proposal {proposal} doesn't survive JSON"
        assert twin.propose() == proposal, f"two strategies with one seed differ in proposal {number}"


def _problem_of(strategy: Strategy, proposal: Proposal) -> str:
    try:
        strategy.space.check(proposal.actions)
    except ValueError as error:
        return str(error)
    return ""


def _check_ignored_rewards(make: MakeStrategy, state: StateOf | None) -> None:
    for no_reward in NO_REWARDS[1:]:
        one, other = _ignoring(make, None, state), _ignoring(make, no_reward, state)
        _assert_equal(one, other, state, f"rewards of None and {no_reward} are not treated alike")


def _ignoring(make: MakeStrategy, no_reward: float | None, state: StateOf | None) -> Strategy:
    """A strategy whose first proposals got no reward, and then a late one."""
    strategy = make(0)
    before = state(strategy) if state else None
    for _ in range(7):
        proposal = strategy.propose()
        for reward in (no_reward, 1.0):
            statistics = strategy.observe(proposal, reward)
            assert statistics is None, f"the reward {reward} after {no_reward} returned {statistics}"
    assert state is None or state(strategy) == before, f"a reward of {no_reward} changed the state"
    return strategy


def _check_repeated_rewards(make: MakeStrategy, state: StateOf | None) -> None:
    once, often = make(0), make(0)
    for index in range(7):
        once.observe(once.propose(), index / 7)
        proposal = often.propose()
        for reward in (index / 7, 1.0, None):
            often.observe(proposal, reward)
    _assert_equal(once, often, state, "a second reward for a proposal is not ignored")


def _check_foreign_proposals(make: MakeStrategy, state: StateOf | None) -> None:
    strategy, stranger = make(0), make(1)
    for _ in range(7):
        statistics = strategy.observe(stranger.propose(), 1.0)
        assert statistics is None, f"a proposal that it never made returned {statistics}"
    _assert_equal(strategy, make(0), state, "a reward for a proposal that it never made is not ignored")


def _check_replay(make: MakeStrategy, state: StateOf | None, rng: random.Random) -> None:
    """Several children at a time, which finish in any order, some of them without a score or never."""
    original, restored = make(0), make(0)
    running: list[Proposal] = []
    for _ in range(rng.randrange(10, 80)):
        if not running or (len(running) < 10 and rng.random() < 0.55):
            running.append(original.propose())
            restored.adopt(_recorded(running[-1]))
        else:
            proposal = rng.choice(running)
            # Now and then it stays, and is observed a second time.
            if rng.random() < 0.9:
                running.remove(proposal)
            reward = rng.choice((None, math.nan, 0.0, 1.0, rng.random(), rng.random()))
            found = original.observe(proposal, reward), restored.observe(_recorded(proposal), reward)
            assert found[0] == found[1], f"a replay gives other statistics: {found[1]}, not {found[0]}"
    _assert_equal(original, restored, state, "replaying the events with adopt and observe doesn't restore it")


def _recorded(proposal: Proposal) -> Proposal:
    """The proposal as it is read back from a journal."""
    content = json.loads(json.dumps(asdict(proposal)))
    return Proposal(content["id"], tuple(content["actions"]), content["info"])


def _assert_equal(one: Strategy, other: Strategy, state: StateOf | None, message: str) -> None:
    """Compares two strategies by what they do next; both are changed by it."""
    assert state is None or state(one) == state(other), f"{message}: their states differ"
    for _ in range(NUM_CONTINUED):
        proposal, other_proposal = one.propose(), other.propose()
        assert proposal == other_proposal, f"{message}: {proposal} differs from {other_proposal}"
        reward = sum(proposal.actions) % 7 / 7
        statistics, other_statistics = one.observe(proposal, reward), other.observe(other_proposal, reward)
        assert statistics == other_statistics, f"{message}: {statistics} differs from {other_statistics}"


def _global_random_state() -> tuple[object, ...]:
    numpy_state = pickle.dumps(np.random.get_state())
    return random.getstate(), numpy_state, torch.get_rng_state().numpy().tobytes()
