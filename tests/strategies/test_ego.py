"""The Gaussian process against formulas written out, and EGO against the controller that it chooses from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from raynas.strategies.controller import Controller
from raynas.strategies.gaussian_process import (
    GaussianProcess,
    expected_improvement,
    normal_scores,
)
from raynas.strategies.strategy import make_strategy
from search_spaces.nasbench201 import NASBench201Space

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


def fitted() -> GaussianProcess:
    process = GaussianProcess(5, memory=100)
    for action in range(5):
        for other in range(5):
            process.add((action, other, 0), -abs(action - 3.0) - abs(other - 1.0))
    return process


def test_the_process_expects_most_where_rewards_were_highest_and_knows_less_far_away():
    seen, near, far = (3, 1, 0), (3, 1, 1), (4, 4, 1)
    mean_P, deviation_P = fitted().predict(np.array([seen, near, far]))
    assert mean_P[0] > mean_P[1] > mean_P[2]
    assert deviation_P[0] < deviation_P[1]


def test_predictions_are_those_of_the_kernel_written_out():
    """exp(-differences / length) with noise on the diagonal. Rasmussen & Williams 2006, eq. 2.23 and 2.24."""
    process = fitted()
    seen_NT = np.array([(a, b, 0) for a in range(5) for b in range(5)])
    points_PT = np.array([(3, 1, 0), (0, 2, 1), (4, 4, 4)])

    def covariance(a_NT, b_PT):
        return np.exp(-(a_NT[:, None] != b_PT[None]).sum(axis=2) / process._length)

    gain_PN = covariance(points_PT, seen_NT) @ np.linalg.inv(
        covariance(seen_NT, seen_NT) + process._noise * np.eye(len(seen_NT))
    )
    variance_P = 1 - (gain_PN * covariance(points_PT, seen_NT)).sum(axis=1)
    mean_P, deviation_P = process.predict(points_PT)
    np.testing.assert_allclose(mean_P, gain_PN @ normal_scores(process._rewards), atol=1e-9)
    np.testing.assert_allclose(deviation_P, np.sqrt(variance_P), atol=1e-9)


def test_a_child_that_is_believed_narrows_the_deviation_and_leaves_the_mean():
    process, points = fitted(), np.array([(3, 1, 1), (0, 0, 1)])
    mean_P, deviation_P = process.predict(points)
    believed_mean_P, believed_deviation_P = process.predict(points, believed=points[:1])
    assert believed_mean_P.tolist() == mean_P.tolist()
    assert believed_deviation_P[0] < deviation_P[0] / 1.5
    assert (believed_deviation_P <= deviation_P + 1e-12).all()


def test_only_the_last_observations_are_remembered():
    process = GaussianProcess(25, memory=10)
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
    """On a made-up landscape in which two decisions count together."""
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
