"""A Gaussian process over tuples of categorical decisions, and expected improvement. NumPy and SciPy.

Rewards enter as normal scores of their ranks, so neither their scale nor an outlier matters. The covariance
of two tuples is exp(-(decisions in which they differ) / length); length and noise are those of the largest
likelihood on a small grid, looked for again whenever the observations have grown by a quarter.

Shapes: N observations, P points asked for, T decisions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Actions = NDArray[np.integer[Any]]

LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
NOISES = (0.01, 0.05, 0.2)
"""Variances, beside the process's own of 1."""
GROWTH = 1.25


class GaussianProcess:
    """Zero mean, unit variance.

    Args:
        memory: observations that count, the last ones; older ones are forgotten.
    """

    def __init__(self, memory: int) -> None:
        self._actions: deque[Sequence[int]] = deque(maxlen=memory)
        self._rewards: deque[float] = deque(maxlen=memory)
        self._length, self._noise = 2.0, 0.05
        self._fitted_at = 0
        self._fit: tuple[Actions, Floats, Floats] | None = None

    @property
    def num_observations(self) -> int:
        return len(self._rewards)

    @property
    def best(self) -> float:
        """The normal score of the best reward."""
        return float(self._fitted()[2].max())

    def add(self, actions: Sequence[int], reward: float) -> None:
        """Takes in one observation; the state depends on the order of these calls alone."""
        self._actions.append(actions)
        self._rewards.append(reward)
        self._fit = None
        if self.num_observations >= max(2.0, GROWTH * self._fitted_at):
            self._fitted_at = self.num_observations
            self._length, self._noise = self._likeliest()

    def predict(self, actions_PT: Actions, *, believed: Actions | None = None) -> tuple[Floats, Floats]:
        """Mean and standard deviation at each point, of the score without noise.

        Args:
            believed: further points, whose score is taken to be what is expected: the mean stays, the
                deviation shrinks.
        """
        actions_NT, factor_NN, scores_N = self._fitted()
        whitened_NP = solve_triangular(factor_NN, self._covariance(actions_NT, actions_PT), lower=True)
        mean_P = whitened_NP.T @ solve_triangular(factor_NN, scores_N, lower=True)
        if believed is not None:
            all_NT = np.concatenate([actions_NT, believed])
            factor = self._factor(all_NT)
            whitened_NP = solve_triangular(factor, self._covariance(all_NT, actions_PT), lower=True)
        variance_P = 1.0 - np.square(whitened_NP).sum(axis=0)
        deviation_P: Floats = np.sqrt(np.maximum(variance_P, 1e-9))
        return mean_P, deviation_P

    def _fitted(self) -> tuple[Actions, Floats, Floats]:
        """Observed points, the Cholesky factor of their covariance, and their scores."""
        if self._fit is None:
            actions_NT = np.array(self._actions)
            self._fit = actions_NT, self._factor(actions_NT), normal_scores(self._rewards)
        return self._fit

    def _covariance(self, a_NT: Actions, b_PT: Actions) -> Floats:
        covariance_NP: Floats = np.exp(-differences(a_NT, b_PT) / self._length)
        return covariance_NP

    def _factor(self, actions_NT: Actions) -> Floats:
        covariance_NN = self._covariance(actions_NT, actions_NT)
        noise_NN: Floats = self._noise * np.eye(len(actions_NT))
        factor_NN: Floats = np.linalg.cholesky(covariance_NN + noise_NN).astype(np.float64)
        return factor_NN

    def _likeliest(self) -> tuple[float, float]:
        """Length and noise under which the scores are likeliest, the process's variance left free."""
        actions_NT = np.array(self._actions)
        differences_NN, scores_N = differences(actions_NT, actions_NT), normal_scores(self._rewards)
        found = []
        for length in LENGTHS:
            covariance_NN = np.exp(-differences_NN / length)
            for noise in NOISES:
                factor_NN = np.linalg.cholesky(covariance_NN + noise * np.eye(len(scores_N)))
                whitened_N = solve_triangular(factor_NN, scores_N, lower=True)
                variance = max(float(whitened_N @ whitened_N) / len(scores_N), 1e-6)
                log_determinant = float(np.log(np.diag(factor_NN)).sum())
                found.append((-0.5 * len(scores_N) * math.log(variance) - log_determinant, length, noise))
        _, length, noise = max(found)
        return length, noise


def differences(a_NT: Actions, b_PT: Actions) -> Floats:
    """In how many decisions each of `a_NT` differs from each of `b_PT`: Hamming distances, NP."""
    counts_NP: Floats = np.not_equal(a_NT[:, None, :], b_PT[None, :, :]).sum(axis=2).astype(np.float64)
    return counts_NP


def normal_scores(rewards: Sequence[float]) -> Floats:
    """Standard normal quantiles of the rewards' ranks; equal rewards by their order."""
    order_N = np.argsort(np.array(rewards), kind="stable")
    ranks_N = np.empty(len(order_N))
    ranks_N[order_N] = np.arange(len(order_N))
    scores: Floats = ndtri((ranks_N + 0.5) / len(order_N))
    return scores


def expected_improvement(mean_P: Floats, deviation_P: Floats, best: float) -> Floats:
    """Expectation of max(score - best, 0). Jones, Schonlau, Welch 1998, eq. 15."""
    normal_P = (mean_P - best) / deviation_P
    density_P = np.exp(-0.5 * np.square(normal_P)) / math.sqrt(2.0 * math.pi)
    improvement_P: Floats = deviation_P * (normal_P * ndtr(normal_P) + density_P)
    return improvement_P
