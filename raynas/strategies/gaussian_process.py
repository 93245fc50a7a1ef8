"""A Gaussian process over architectures, and expected improvement.

Rewards enter as normal scores of their ranks, so neither their scale nor an outlier matters. The kernel is
exp(-(number of decisions in which two architectures differ) / length), plus noise. Length and noise maximise
the likelihood on a small grid; they are chosen again whenever the observations have grown by a quarter.

Shapes: N observations, P points asked for, T decisions, K the largest number of choices.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
ActionsArray = NDArray[np.integer[Any]]

LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
NOISES = (0.01, 0.05, 0.2)
"""Variances; the process itself has variance 1."""
GROWTH = 1.25
"""The kernel is chosen again when there are this many times as many observations."""


class GaussianProcess:
    """Gaussian process with mean 0 and variance 1.

    Args:
        num_choices: the largest number of choices of a decision.
        memory: number of observations that are kept; older ones are forgotten.
    """

    def __init__(self, num_choices: int, *, memory: int) -> None:
        self.num_choices = num_choices
        self._actions: deque[Sequence[int]] = deque(maxlen=memory)
        self._rewards: deque[float] = deque(maxlen=memory)
        self._length = 2.0
        self._noise = 0.05
        self._num_when_chosen = 0
        # Fitted when it is first asked for: a replay adds thousands of observations and asks for nothing.
        self._fit: Any = None

    @property
    def num_observations(self) -> int:
        """Number of observations that are kept, at most `memory`."""
        return len(self._rewards)

    @property
    def best(self) -> float:
        """Normal score of the best reward."""
        return float(normal_scores(self._rewards).max())

    def add(self, actions: Sequence[int], reward: float) -> None:
        """Adds one observation. The state depends on the order of these calls alone."""
        self._actions.append(actions)
        self._rewards.append(reward)
        self._fit = None
        if self.num_observations >= max(2.0, GROWTH * self._num_when_chosen):
            self._num_when_chosen = self.num_observations
            # It fits with the kernel of before, so what it has fitted is dropped afterwards.
            self._length, self._noise = self._likeliest()
            self._fit = None

    def predict(
        self, actions_PT: ActionsArray, *, believed: ActionsArray | None = None
    ) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the score at each point, without noise.

        Args:
            believed: further points, whose scores are assumed to equal their predictions. They leave the
                means unchanged and reduce the standard deviations.
        """
        fit, points = self._fitted(), self._one_hot(actions_PT)
        mean_P, deviation_P = fit.predict(points, return_std=True)
        if believed is not None:
            inputs = np.concatenate([fit.X_train_, self._one_hot(believed)])
            # Deviations depend on where the observations are and not on their scores, so zeros will do.
            extended = _regressor(self._length, self._noise).fit(inputs, np.zeros(len(inputs)))
            _, deviation_P = extended.predict(points, return_std=True)
        # scikit-learn's deviation is that of a new observation: it includes the noise.
        variance_P = np.square(deviation_P) - self._noise
        # At an observed point rounding may leave a variance of 0 or less, and expected improvement divides by
        # its root.
        deviation_P = np.sqrt(np.maximum(variance_P, 1e-9))
        return mean_P, deviation_P

    def _likeliest(self) -> tuple[float, float]:
        # A grid, where scikit-learn would follow the gradient: a replay on another machine, where sums are
        # rounded differently, still comes to the same kernel.
        likelihood = self._fitted().log_marginal_likelihood
        # log_marginal_likelihood takes the logarithms of the kernel's parameters, in the order of the sum in
        # _regressor.
        grid = itertools.product(LENGTHS, NOISES)
        return max(grid, key=lambda pair: likelihood(np.log([math.sqrt(pair[0]), pair[1]])))

    def _fitted(self) -> Any:
        if self._fit is None:
            inputs = self._one_hot(np.array(self._actions))
            self._fit = _regressor(self._length, self._noise).fit(inputs, normal_scores(self._rewards))
        return self._fit

    def _one_hot(self, actions_NT: ActionsArray) -> Floats:
        """The one-hot vectors of all decisions, one after another: N x (T K)."""
        is_chosen_NTK = actions_NT[:, :, None] == np.arange(self.num_choices)
        one_hot: Floats = is_chosen_NTK.reshape(len(actions_NT), -1).astype(np.float64)
        return one_hot


def _regressor(length: float, noise: float) -> Any:
    # Imported here: scikit-learn takes more than a second to load, and every look-up of a strategy imports
    # this module.
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel

    # One-hot vectors of architectures that differ in d decisions are sqrt(2 d) apart, so that an RBF with
    # the scale sqrt(length) is exp(-d / length). The noise is on the diagonal already: no jitter (alpha).
    kernel = RBF(math.sqrt(length)) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)


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
