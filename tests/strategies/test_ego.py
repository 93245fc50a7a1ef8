"""The Gaussian process against formulas written out, and EGO against the controller that it chooses from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from raynas.cells.space import Actions
from raynas.strategies.controller import Controller
from raynas.strategies.description import Describer, Features, describe_cells
from raynas.strategies.ego import EGO
from raynas.strategies.gaussian_process import (
    GaussianProcess,
    expected_improvement,
    normal_scores,
)
from raynas.strategies.strategy import make_strategy
from search_spaces.nasbench201 import NASBench201Space
from tests.strategies.searching import closeness, distance, search

SPACE = NASBench201Space()


def test_normal_scores_depend_on_ranks_alone():
    assert normal_scores([0.1, 0.9, 0.5]).tolist() == normal_scores([1.0, 100.0, 2.0]).tolist()
    assert normal_scores([0.1, 0.9, 0.5])[2] == 0.0


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.0), (1.0, 0.5, 2.0), (3.0, 0.1, 0.0)])
def test_expected_improvement_is_the_mean_of_what_is_gained(mean, deviation, best):
    draws = mean + deviation * np.random.default_rng(0).standard_normal(400_000)
    expected = np.maximum(draws - best, 0.0).mean()
    found = expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(expected, abs=3e-3)


def choices(actions: Actions) -> tuple[Features, ...]:
    return (list(enumerate(actions)),)


def fitted() -> GaussianProcess:
    process = GaussianProcess(choices, memory=100)
    for action in range(5):
        for other in range(5):
            process.add((action, other, 0), -abs(action - 3.0) - abs(other - 1.0))
    return process


def test_the_process_expects_most_where_rewards_were_highest_and_knows_less_far_away():
    seen, near, far = (3, 1, 0), (3, 1, 1), (4, 4, 1)
    mean_P, deviation_P = fitted().predict([seen, near, far])
    assert mean_P[0] > mean_P[1] > mean_P[2]
    assert deviation_P[0] < deviation_P[1]


def test_predictions_are_those_of_the_kernel_written_out():
    """exp(-distance / length) with noise on the diagonal. Rasmussen & Williams 2006, eq. 2.23 and 2.24."""
    process = fitted()
    kernel = process._kernel
    assert kernel is not None
    seen_NT = np.array([(a, b, 0) for a in range(5) for b in range(5)])
    points_PT = np.array([(3, 1, 0), (0, 2, 1), (4, 4, 4)])

    def covariance(a_NT, b_PT):
        # Two features differ for each decision in which two architectures differ.
        return np.exp(-2 * (a_NT[:, None] != b_PT[None]).sum(axis=2) / kernel.lengths[0])

    gain_PN = covariance(points_PT, seen_NT) @ np.linalg.inv(
        covariance(seen_NT, seen_NT) + kernel.noise * np.eye(len(seen_NT))
    )
    variance_P = 1 - (gain_PN * covariance(points_PT, seen_NT)).sum(axis=1)
    mean_P, deviation_P = process.predict([tuple(point) for point in points_PT.tolist()])
    np.testing.assert_allclose(mean_P, gain_PN @ normal_scores(process._rewards), atol=1e-9)
    np.testing.assert_allclose(deviation_P, np.sqrt(variance_P), atol=1e-9)


def test_the_view_that_explains_the_rewards_gets_the_weight():
    """Rewards follow the first view; the second one is another number of the same architecture."""
    views = [(action, action * 7 % 11) for action in range(11)]
    process = GaussianProcess(
        lambda actions: ([*range(views[actions[0]][0])], [*range(views[actions[0]][1])]), memory=50
    )
    for action in range(11):
        process.add((action,), float(action))
    assert process._kernel is not None
    assert process._kernel.weights == (1.0, 0.0)


def test_distances_outlive_the_descriptions_that_are_dropped(monkeypatch):
    monkeypatch.setattr("raynas.strategies.description.MAX_KEPT", 3)
    describer = Describer(describe_cells(SPACE))
    some = [(0, 1, 2, 3, 4, 0), (0, 1, 2, 3, 4, 1), (3, 3, 3, 3, 3, 3), (1, 1, 1, 1, 1, 1)]
    first = describer.distances(some, some)
    assert first[0].tolist() == [[2 * distance(one, other) for other in some] for one in some]
    assert describer.distances(some[::-1], some[::-1]).tolist() == first[:, ::-1, ::-1].tolist()


def test_a_child_that_is_believed_narrows_the_deviation_and_leaves_the_mean():
    process, points = fitted(), [(3, 1, 1), (0, 0, 1)]
    mean_P, deviation_P = process.predict(points)
    believed_mean_P, believed_deviation_P = process.predict(points, believed=points[:1])
    assert believed_mean_P.tolist() == mean_P.tolist()
    assert believed_deviation_P[0] < deviation_P[0] / 1.5
    assert (believed_deviation_P <= deviation_P + 1e-12).all()


def test_only_the_last_observations_are_remembered():
    process = GaussianProcess(choices, memory=10)
    for index in range(25):
        process.add((index, 0), float(index))
    assert process.num_observations == 10


def test_many_draws_at_once_are_the_policys():
    controller = Controller([3, 2], hidden_units=4)
    controller.head_bias_TK.data[0] = controller.head_bias_TK.new_tensor([2.0, 0.0, 1.0])
    samples = controller.sampler().draw_many(np.random.default_rng(0), np.ones(4000))
    for action in range(3):
        chosen = [sample for sample in samples if sample.actions[0] == action]
        assert len(chosen) / 4000 == pytest.approx(math.exp(chosen[0].log_probs[0]), abs=0.03)


def best_of(name: str, seed: int, num_children: int) -> float:
    """The best reward on a made-up landscape in which two decisions count together."""
    strategy, best = make_strategy(name, SPACE, seed=seed), -math.inf
    for _ in range(num_children):
        proposal = strategy.propose()
        a, b, *rest = proposal.actions
        reward = (a == 3 and b == 1) - 0.1 * sum(abs(action - 2) for action in rest)
        strategy.observe(proposal, reward)
        best = max(best, reward)
    return best


def test_it_finds_better_ones_than_luck():
    found = [best_of("ego", seed, 60) for seed in range(4)]
    drawn = [best_of("random", seed, 60) for seed in range(4)]
    assert sum(found) / 4 > sum(drawn) / 4 + 0.2


def test_it_comes_closer_to_a_single_peak_than_luck():
    for seed in range(2):
        ego = search(make_strategy("ego", SPACE, seed=seed), 40)
        luck = search(make_strategy("random", SPACE, seed=seed), 40)
        found, drawn = (max(closeness(proposal.actions) for proposal in tried) for tried in (ego, luck))
        assert found > drawn


def test_a_child_of_a_mutation_has_the_log_probabilities_of_the_policy():
    """Which did not draw it, but learns from it."""
    strategy = make_strategy("ego", SPACE, seed=0, candidates=2, mutations=20, random_children=2)
    (*_, last) = search(strategy, 6)
    assert isinstance(strategy, EGO)
    assert last.info["policy_version"] == strategy.policy_version == 0
    log_probs_BT, _ = strategy.controller.log_probs(torch.tensor([last.actions]))
    assert last.info["log_probs"] == pytest.approx(log_probs_BT[0].tolist(), abs=1e-6)
