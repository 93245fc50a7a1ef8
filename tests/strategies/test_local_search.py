"""Local search: the first better neighbour, the way up, and restarts."""

from __future__ import annotations

import random
from typing import cast

from raynas.strategies.local_search import LocalSearch
from raynas.strategies.mutation import neighbours
from raynas.strategies.strategy import Proposal, make_strategy
from tests.strategies.searching import SPACE, TARGET, closeness, distance, search


def make(*, starts: int = 1, seed: int = 0) -> LocalSearch:
    return cast(LocalSearch, make_strategy("local_search", SPACE, seed=seed, starts=starts))


def test_it_moves_to_the_first_neighbour_that_is_better():
    strategy = make(starts=3)
    summit = max((proposal.actions for proposal in search(strategy, 3)), key=closeness)
    for _ in range(30):
        (proposal,) = search(strategy, 1)
        assert distance(proposal.actions, summit) == 1
        if closeness(proposal.actions) > closeness(summit):
            summit = proposal.actions
    assert closeness(summit) > 0.5


def test_neighbours_are_tried_in_random_order():
    strategy = make()
    (start,) = search(strategy, 1)
    tried = [proposal.actions for proposal in search(strategy, 24, lambda actions: 0.0)]
    assert set(tried) == set(neighbours(SPACE, start.actions))
    assert tried != list(neighbours(SPACE, start.actions))


def test_it_climbs_to_the_summit_and_tries_nothing_twice():
    """At most 6 steps of at most 24 neighbours, and those of the summit."""
    climb = [proposal.actions for proposal in search(make(), 1 + 7 * 24)]
    assert TARGET in climb
    last = climb.index(TARGET)
    assert len(set(climb[:last])) == last


def test_a_climb_that_is_over_is_followed_by_another():
    strategy = make(starts=2)
    proposals = search(strategy, 600)
    assert TARGET in {proposal.actions for proposal in proposals}
    assert sum(proposal.info["is_start"] for proposal in proposals) > 4


def test_a_neighbour_without_a_score_is_not_tried_again():
    strategy = make()
    search(strategy, 1)
    failed = [proposal.actions for proposal in search(strategy, 24, lambda actions: None)]
    assert len(set(failed)) == 24
    assert search(strategy, 1)[0].info["is_start"]


def test_a_better_neighbour_that_is_scored_late_takes_the_climb_up_again():
    strategy = make()
    search(strategy, 1)
    late = [strategy.propose() for _ in range(24)]
    assert strategy.propose().info["is_start"]
    better = max(late, key=lambda proposal: closeness(proposal.actions))
    strategy.observe(better, closeness(better.actions))
    assert distance(strategy.propose().actions, better.actions) == 1


def test_with_several_workers_it_goes_on_from_the_best_whatever_ends_last():
    strategy = make()
    search(strategy, 1)
    running = [strategy.propose() for _ in range(8)]
    for proposal in sorted(running, key=lambda proposal: -closeness(proposal.actions)):
        strategy.observe(proposal, closeness(proposal.actions))
    best = max((proposal.actions for proposal in running), key=closeness)
    assert distance(strategy.propose().actions, best) == 1


def test_a_replay_goes_on_from_the_same_place():
    """Children that end out of order, some of them failed."""
    strategy, replayed = make(starts=3), make(starts=3)
    rng = random.Random(0)
    running: list[Proposal] = []
    for _ in range(200):
        if len(running) < 5:
            running.append(strategy.propose())
            replayed.adopt(running[-1])
        else:
            proposal = running.pop(rng.randrange(len(running)))
            reward = closeness(proposal.actions) if rng.random() < 0.8 else None
            strategy.observe(proposal, reward)
            replayed.observe(proposal, reward)
    assert [strategy.propose() for _ in range(5)] == [replayed.propose() for _ in range(5)]


def test_neighbours_that_are_never_scored_do_not_stop_it():
    strategy = make(starts=2)
    search(strategy, 2)
    lost = [strategy.propose() for _ in range(24)]
    assert not any(proposal.info["is_start"] for proposal in lost)
    assert [proposal.info["is_start"] for proposal in search(strategy, 3)] == [True, True, False]
