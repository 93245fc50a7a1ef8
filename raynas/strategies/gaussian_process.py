"""A Gaussian process over architectures, and expected improvement.

Rewards enter as normal scores of their ranks, so neither their scale nor an outlier matters. The kernel is a
weighted sum over the views of an architecture (description.py) of exp(-distance / length), plus noise. A
length is relative to the mean distance of the observations in its view, so that one grid serves views and
spaces of any size. Weights, length and noise maximise the likelihood on that grid; they are chosen again
whenever the observations have grown by a quarter.

The kernel and its likelihood are eight lines of linear algebra on SciPy; scikit-learn's regressor computes
distances from vectors, and here they are counts of sets.

Shapes: N observations, M believed points, P points asked for, V views.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtr, ndtri

from raynas.cells.space import Actions
from raynas.strategies.description import Describe, Describer

Floats = NDArray[np.float64]

LENGTHS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""In mean distances of the observations."""
NOISES = (0.01, 0.05, 0.2)
"""Variances; the process itself has variance 1."""
GROWTH = 1.25
"""The kernel is chosen again when there are this many times as many observations."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Covariance of two architectures from their distances in each view, without noise."""

    weights: tuple[float, ...]
    """Share of each view in the variance."""
    lengths: tuple[float, ...]
    """Distance in each view at which its covariance has fallen to 1/e."""
    noise: float
    """Variance of a reward about the process."""

    def __call__(self, distances_VNP: Floats) -> Floats:
        parts_VNP = [
            np.exp(distances_NP / -length) if weight else distances_NP
            for weight, length, distances_NP in zip(self.weights, self.lengths, distances_VNP, strict=True)
        ]
        return _weighted(self.weights, parts_VNP)


class GaussianProcess:
    """Gaussian process with mean 0 and variance 1.

    Args:
        describe: gives the views of an architecture.
        memory: number of observations that are kept; older ones are forgotten.
    """

    def __init__(self, describe: Describe, *, memory: int) -> None:
        self._describer = Describer(describe)
        self._actions: deque[Actions] = deque(maxlen=memory)
        self._rewards: deque[float] = deque(maxlen=memory)
        self._kernel: Kernel | None = None
        self._num_when_chosen = 0

    @property
    def num_observations(self) -> int:
        """Number of observations that are kept, at most `memory`."""
        return len(self._rewards)

    @property
    def best(self) -> float:
        """Normal score of the best reward."""
        return float(normal_scores(self._rewards).max())

    def best_actions(self, count: int) -> list[Actions]:
        """The different architectures with the highest rewards, at most `count`, the best first."""
        by_reward = sorted(zip(self._rewards, self._actions, strict=True), reverse=True)
        return list(dict.fromkeys(actions for _, actions in by_reward))[:count]

    def add(self, actions: Sequence[int], reward: float) -> None:
        """Adds one observation. The state depends on the order of these calls alone."""
        self._actions.append(tuple(actions))
        self._rewards.append(reward)
        if self.num_observations >= max(2.0, GROWTH * self._num_when_chosen):
            self._num_when_chosen = self.num_observations
            self._kernel = self._likeliest()

    def predict(
        self, points_P: Sequence[Actions], *, believed: Sequence[Actions] = ()
    ) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the score at each point, without noise.

        Args:
            believed: further points, whose scores are assumed to equal their predictions. They leave the
                means unchanged and reduce the standard deviations.
        """
        assert self._kernel is not None, "there are no observations"
        observed_N = list(self._actions)
        scores_N = normal_scores(self._rewards)
        mean_P, variance_P = self._posterior(self._kernel, observed_N, scores_N, points_P)
        if believed:
            # Deviations depend on where the observations are and not on their scores, so zeros will do.
            seen = [*observed_N, *believed]
            _, variance_P = self._posterior(self._kernel, seen, np.zeros(len(seen)), points_P)
        # At an observed point rounding may leave a variance of 0 or less, and expected improvement divides by
        # its root.
        return mean_P, np.sqrt(np.maximum(variance_P, 1e-9))

    def _posterior(
        self, kernel: Kernel, seen_N: Sequence[Actions], scores_N: Floats, points_P: Sequence[Actions]
    ) -> tuple[Floats, Floats]:
        """Mean and variance. Rasmussen & Williams 2006 (GPML), algorithm 2.1."""
        # One look at all of them: the points come after the observations.
        covariance = kernel(self._describer.distances(seen_N, [*seen_N, *points_P]))
        root_NN = _root(covariance[:, : len(seen_N)], kernel.noise)
        halves_NP = solve_triangular(root_NN, covariance[:, len(seen_N) :], lower=True, check_finite=False)
        mean_P = halves_NP.T @ solve_triangular(root_NN, scores_N, lower=True, check_finite=False)
        return mean_P, 1.0 - np.square(halves_NP).sum(axis=0)

    def _likeliest(self) -> Kernel:
        # A grid, where a gradient could be followed: a replay on another machine, where sums are rounded
        # differently, still comes to the same kernel.
        distances_VNN = self._describer.distances(self._actions, self._actions)
        scores_N = normal_scores(self._rewards)
        num_pairs = max(1, len(scores_N) * (len(scores_N) - 1))
        # A view in which all observations are equal has no distances; any scale will do.
        scales_V = [float(total) / num_pairs or 1.0 for total in distances_VNN.sum(axis=(1, 2))]
        best, highest = None, -math.inf
        for length in LENGTHS:
            lengths = tuple(length * scale for scale in scales_V)
            parts_VNN = [np.exp(one / -scaled) for one, scaled in zip(distances_VNN, lengths, strict=True)]
            for weights, noise in itertools.product(_mixtures(len(lengths)), NOISES):
                likelihood = _log_likelihood(_root(_weighted(weights, parts_VNN), noise), scores_N)
                if likelihood > highest:
                    best, highest = Kernel(weights, lengths, noise), likelihood
        assert best is not None
        return best


def _mixtures(num_views: int) -> list[tuple[float, ...]]:
    """Equal weights for each choice of views, which add up to 1."""
    chosen = [views for views in itertools.product((0, 1), repeat=num_views) if any(views)]
    return [tuple(view / sum(views) for view in views) for views in chosen]


def _weighted(weights: Sequence[float], parts_VNP: Sequence[Floats]) -> Floats:
    total_NP = np.zeros(parts_VNP[0].shape)
    for weight, part_NP in zip(weights, parts_VNP, strict=True):
        if weight:
            total_NP += weight * part_NP
    return total_NP


def _root(covariance_NN: Floats, noise: float) -> Floats:
    """Lower Cholesky factor of the observations' covariance with its noise."""
    noisy_NN = covariance_NN + noise * np.eye(len(covariance_NN))
    root_NN: Floats = cholesky(noisy_NN, lower=True, overwrite_a=True, check_finite=False)
    return root_NN


def _log_likelihood(root_NN: Floats, scores_N: Floats) -> float:
    """Logarithm of the marginal likelihood, without its constant. Rasmussen & Williams 2006, eq. 2.30."""
    half_N = solve_triangular(root_NN, scores_N, lower=True, check_finite=False)
    return float(-0.5 * half_N @ half_N - np.log(np.diag(root_NN)).sum())


def normal_scores(rewards: Sequence[float]) -> Floats:
    """Standard normal quantiles of the rewards' ranks; equal rewards are ranked in order of arrival."""
    order_N = np.argsort(np.array(rewards), kind="stable")
    ranks_N = np.empty(len(order_N))
    ranks_N[order_N] = np.arange(len(order_N))
    # The half keeps the lowest and the highest rank from 0 and 1, whose quantiles are infinite.
    scores: Floats = ndtri((ranks_N + 0.5) / len(order_N))
    return scores


def expected_improvement(mean_P: Floats, deviation_P: Floats, best: float) -> Floats:
    """Expectation of max(score - best, 0). Jones, Schonlau, Welch 1998, eq. 15."""
    normal_P = (mean_P - best) / deviation_P
    density_P = np.exp(-0.5 * np.square(normal_P)) / math.sqrt(2.0 * math.pi)
    improvement_P: Floats = deviation_P * (normal_P * ndtr(normal_P) + density_P)
    return improvement_P
