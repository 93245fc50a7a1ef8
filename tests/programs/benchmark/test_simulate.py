"""The simulated clock: which child is trained when, in which order scores are observed, and what counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.programs.benchmark import simulate
from raynas.strategies.strategy import make_strategy
from tests.programs.benchmark.small_tables import Scripted, table_of

COSTS = [10.0, 3.0, 7.0, 5.0]


def observed(strategy: Scripted) -> list[int]:
    return [child for kind, child in strategy.events if kind == "observed"]


def test_one_worker_trains_one_child_after_another():
    strategy = Scripted([0, 1, 2, 3])
    run = simulate(strategy, table_of(COSTS), budget=25)
    assert observed(strategy) == [0, 1, 2, 3]
    assert (run.num_children, run.seconds) == (4, 25)
    assert [(best.time, best.child) for best in run.trajectory] == [(10, 1), (13, 2), (20, 3), (25, 4)]


@pytest.mark.parametrize(("budget", "finished"), [(9.9, 0), (10, 1), (12.9, 1), (13, 2), (24.9, 3)])
def test_a_child_counts_if_it_finishes_within_the_budget(budget, finished):
    assert simulate(Scripted([0, 1, 2, 3]), table_of(COSTS), budget=budget).num_children == finished


def test_children_on_two_workers_are_observed_as_they_finish():
    """0 takes the first worker until 10; 1, 2 and 3 the other until 3, 10 and 15."""
    strategy = Scripted([0, 1, 2, 3])
    run = simulate(strategy, table_of(COSTS), budget=14.9, workers=2)
    assert observed(strategy) == [1, 0, 2]
    assert strategy.events[:4] == [("proposed", 0), ("proposed", 1), ("observed", 1), ("proposed", 2)]
    assert run.best is not None and (run.best.time, run.best.signal) == (10, 0.02)


def test_the_result_is_that_of_the_best_child_by_signal():
    table = table_of(COSTS, signal=[0.1, 0.9, 0.2, 0.9].__getitem__, result=[0.8, 0.3, 0.9, 0.7].__getitem__)
    run = simulate(Scripted([0, 1, 2, 3]), table, budget=25)
    assert [(best.signal, best.result) for best in run.trajectory] == [(0.1, 0.8), (0.9, 0.3)]
    assert [run.best_at(time) for time in (9, 10, 24)] == [None, run.trajectory[0], run.trajectory[1]]


@given(
    costs=st.lists(st.floats(0.5, 20), min_size=1, max_size=8),
    workers=st.integers(1, 5),
    budget=st.floats(20, 200),
    equal_cells=st.sampled_from(["retrain", "reuse"]),
)
def test_no_worker_works_longer_than_the_budget_and_time_only_goes_on(costs, workers, budget, equal_cells):
    strategy = make_strategy("random", table_of(costs).space, seed=0)
    run = simulate(
        Scripted(range(len(costs))), table_of(costs), budget=budget, workers=workers, equal_cells=equal_cells
    )
    assert run.seconds <= workers * budget + 1e-6
    assert run.num_distinct <= min(run.num_children, len(costs))
    times = [best.time for best in run.trajectory]
    assert times == sorted(times) and all(time <= budget for time in times)
    signals = [best.signal for best in run.trajectory]
    assert signals == sorted(set(signals))
    assert simulate(strategy, table_of(costs), budget=budget, children=0).num_children == 0


def test_an_equal_proposal_is_trained_and_charged_again():
    run = simulate(Scripted([1]), table_of(COSTS), budget=30)
    assert (run.num_children, run.num_distinct, run.num_reused, run.is_exhausted) == (10, 1, 0, False)


def test_a_reused_score_costs_nothing_and_is_observed():
    strategy = Scripted([1, 1, 2, 2, 3])
    run = simulate(strategy, table_of(COSTS), budget=15, equal_cells="reuse")
    assert (run.num_children, run.num_distinct, run.seconds) == (3, 3, 15)
    assert [strategy.rewards[child] for child in (0, 1, 2, 3, 4)] == [0.01, 0.01, 0.02, 0.02, 0.03]


def test_a_proposal_equal_to_one_that_is_being_trained_waits_for_it():
    strategy = Scripted([0, 0, 1, 2, 3])
    run = simulate(strategy, table_of(COSTS), budget=20, workers=2, children=3, equal_cells="reuse")
    assert strategy.events[:3] == [("proposed", 0), ("proposed", 1), ("proposed", 2)]
    assert observed(strategy) == [2, 0, 1, 3]
    assert (run.num_children, run.num_reused) == (3, 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_strategy_that_proposes_nothing_new_comes_to_an_end(workers):
    run = simulate(Scripted([1, 2]), table_of(COSTS), budget=1e9, workers=workers, equal_cells="reuse")
    assert (run.num_children, run.is_exhausted) == (2, True)
    assert run.num_reused >= 1000


def test_an_architecture_that_is_not_in_the_table_costs_and_teaches_nothing():
    strategy = Scripted([7, 1])
    run = simulate(strategy, table_of(COSTS), budget=6)
    # Of those after the second child, as many as were proposed until one was in the table.
    assert (run.num_children, run.num_absent, run.seconds) == (2, 3, 6)
    assert strategy.rewards[0] is None and strategy.rewards[1] == 0.01


def test_a_search_that_finds_nothing_in_the_table_comes_to_an_end():
    run = simulate(Scripted([7]), table_of(COSTS), budget=1e9)
    assert (run.best, run.num_children, run.num_absent, run.is_exhausted) == (None, 0, 1000, True)


def test_it_ends_after_so_many_children():
    run = simulate(Scripted([0, 1, 2, 3]), table_of(COSTS), budget=1e9, workers=2, children=3)
    assert (run.num_children, run.is_exhausted) == (3, False)


@pytest.mark.parametrize("name", ["random", "reinforce", "evolution", "local_search"])
@pytest.mark.parametrize("workers", [1, 4])
def test_equal_seeds_give_equal_searches(whole_table, name, workers):
    table = whole_table
    strategies = [make_strategy(name, table.space, seed=3) for _ in range(2)]
    one, other = (simulate(strategy, table, budget=60, workers=workers) for strategy in strategies)
    assert one == other
