"""Local search: whole neighbourhoods, the way up, and restarts."""

from __future__ import annotations

from typing import cast

from raynas.strategies.local_search import LocalSearch
from raynas.strategies.mutation import neighbours
from raynas.strategies.strategy import make_strategy
from tests.strategies.searching import SPACE, TARGET, closeness, distance, search


def make(*, starts: int = 1, seed: int = 0) -> LocalSearch:
    return cast(LocalSearch, make_strategy("local_search", SPACE, seed=seed, starts=starts))


def test_all_neighbours_of_the_best_start_are_tried_and_then_those_of_the_best_of_them():
    strategy = make(starts=3)
    start = max((proposal.actions for proposal in search(strategy, 3)), key=closeness)
    tried = [proposal.actions for proposal in search(strategy, 24)]
    assert set(tried) == set(neighbours(SPACE, start))
    best = max(neighbours(SPACE, start), key=closeness)
    assert closeness(best) > closeness(start)
    assert all(distance(proposal.actions, best) == 1 for proposal in search(strategy, 5))


def test_it_climbs_to_the_summit_and_tries_nothing_twice():
    """At most 6 steps of at most 24 neighbours, and those of the summit."""
    climb = [proposal.actions for proposal in search(make(), 1 + 7 * 24)]
    assert TARGET in climb
    last = climb.index(TARGET)
    assert len(set(climb[:last])) == last


def test_a_climb_that_is_over_is_followed_by_another():
    strategy = make(starts=2)
    proposals = search(strategy, 600)
    assert strategy.scores[TARGET] == 1.0
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


def test_neighbours_that_are_never_scored_do_not_stop_it():
    strategy = make(starts=2)
    search(strategy, 2)
    lost = [strategy.propose() for _ in range(24)]
    assert not any(proposal.info["is_start"] for proposal in lost)
    assert [proposal.info["is_start"] for proposal in search(strategy, 3)] == [True, True, False]
