"""Regularised evolution: who has children, who leaves, and what a mutation is."""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import cast

import pytest

from raynas.cells.space import make_space
from raynas.errors import InvalidConfig
from raynas.programs.search.recipes import search_config
from raynas.strategies.evolution import Evolution
from raynas.strategies.mutation import mutated, neighbours
from raynas.strategies.strategy import make_strategy
from tests.strategies.searching import SPACE, closeness, distance, search


def make(**options: int) -> Evolution:
    return cast(Evolution, make_strategy("evolution", SPACE, seed=0, **options))


def test_the_population_is_the_last_that_were_scored():
    strategy = make(population=5, sample=2)
    alive: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=5)
    for proposal in search(strategy, 30):
        alive.append((closeness(proposal.actions), proposal.actions))
    assert strategy.population == alive


def test_every_child_differs_from_a_living_parent_in_one_decision():
    strategy = make(population=5, sample=2)
    search(strategy, 5)
    for _ in range(50):
        alive = [actions for _, actions in strategy.population]
        (proposal,) = search(strategy, 1)
        assert any(distance(proposal.actions, parent) == 1 for parent in alive)


def test_a_child_without_a_score_never_enters_the_population():
    strategy = make(population=4, sample=2)
    proposals = search(strategy, 60, lambda actions: None if actions[0] == 0 else closeness(actions))
    assert any(proposal.actions[0] == 0 for proposal in proposals)
    assert all(actions[0] != 0 for _, actions in strategy.population)


def test_a_sample_as_large_as_the_population_finds_the_summit():
    assert max(closeness(proposal.actions) for proposal in search(make(population=20, sample=20), 400)) == 1.0


def test_a_mutation_is_any_of_the_neighbours_equally_often():
    rng, parent = random.Random(0), (0, 1, 2, 3, 4, 0)
    counts = Counter(mutated(SPACE, parent, rng) for _ in range(24_000))
    assert counts.keys() == set(neighbours(SPACE, parent))
    # 1,000 expected of each, with a deviation of 31.
    assert all(800 < count < 1200 for count in counts.values())


def test_a_decision_that_leaves_no_choice_is_never_mutated():
    space = make_space("nasnet", num_blocks=1, operations=("identity",), combiners=("add",))
    parent = (0,) * len(space.decisions)
    children = {mutated(space, parent, random.Random(seed)) for seed in range(50)}
    assert children == set(neighbours(space, parent))
    assert len(children) == 4


def test_a_sample_larger_than_the_population_is_refused():
    with pytest.raises(InvalidConfig, match="sample 11 is more than the population of 10"):
        make(sample=11)


def test_the_papers_recipe_has_its_population():
    options = search_config("amoebanet_paper").strategy.options
    assert (options["population"], options["sample"]) == (100, 25)
