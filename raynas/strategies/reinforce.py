"""REINFORCE on independent softmaxes: one for each decision, which knows nothing of the others.

As NATS-Bench has it (Dong et al. 2021, arXiv 2009.00437; AutoDL-Projects exps/NATS-algos/reinforce.py):
logits from a normal distribution of 0.001, Adam with rate 0.01, and as the baseline a moving average of the
rewards with weight 0.9, corrected for its start, the newest reward in it. The method: Williams 1992.

A reward that comes late is taken for a draw of the policy as it is then.
"""

# Shapes: T decisions, K the largest number of choices.

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig, register_strategy

Array = NDArray[np.float64]
INIT_DEVIATION = 0.001
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class ReinforceConfig(StrategyConfig):
    """Defaults: NATS-Bench's."""

    learning_rate: float = Field(0.01, gt=0)
    """Of Adam."""
    baseline_weight: float = Field(0.9, ge=0, lt=1)
    """Weight of the past in the moving average of rewards."""


@register_strategy("reinforce")
class Reinforce(Strategy[ReinforceConfig]):
    """One gradient step for each reward."""

    Config = ReinforceConfig

    def __init__(self, space: SearchSpace, config: ReinforceConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        num_choices_T = np.array([len(decision.choices) for decision in space.decisions])
        is_choice_TK = np.arange(num_choices_T.max()) < num_choices_T[:, None]
        logits_TK = np.random.default_rng(seed).normal(0.0, INIT_DEVIATION, is_choice_TK.shape)
        self.logits_TK: Array = np.where(is_choice_TK, logits_TK, -np.inf)
        self.adam = Adam(self.logits_TK.shape, self.config.learning_rate)
        self.baseline = 0.0
        self.num_rewards = 0

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        uniform_T = np.random.default_rng([self.seed, proposal_id]).random(len(self.logits_TK))
        cumulative_TK = np.cumsum(self._probabilities(), axis=1)
        # Of the sum as it is, not of 1: rounding must not choose what is no choice.
        drawn_T = (cumulative_TK <= (uniform_T * cumulative_TK[:, -1])[:, None]).sum(axis=1)
        return tuple(drawn_T.tolist()), {}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        advantage = reward - self._move_baseline(reward)
        # The gradient of the log-probability of a softmax: one for what was drawn, less the probabilities.
        gradient_TK = self._probabilities()
        gradient_TK[np.arange(len(gradient_TK)), list(proposal.actions)] -= 1.0
        self.logits_TK -= self.adam.step(advantage * gradient_TK)
        return {
            "mean_reward": reward,
            "baseline": self.baseline,
            "entropy": _entropy(self._probabilities()),
        }

    def _move_baseline(self, reward: float) -> float:
        """Takes the reward into the moving average; returns the baseline with it."""
        self.num_rewards += 1
        weight = self.config.baseline_weight
        share = (1 - weight) / (1 - weight**self.num_rewards)
        self.baseline += share * (reward - self.baseline)
        return self.baseline

    def _probabilities(self) -> Array:
        exponentials_TK = np.exp(self.logits_TK - self.logits_TK.max(axis=1, keepdims=True))
        probabilities_TK: Array = exponentials_TK / exponentials_TK.sum(axis=1, keepdims=True)
        return probabilities_TK


class Adam:
    """Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1, with the paper's constants."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self.learning_rate, self.num_steps = learning_rate, 0
        self.mean, self.square = np.zeros(shape), np.zeros(shape)

    def step(self, gradient: Array) -> Array:
        """What is to be taken from the parameters."""
        self.num_steps += 1
        self.mean += (1 - BETAS[0]) * (gradient - self.mean)
        self.square += (1 - BETAS[1]) * (gradient**2 - self.square)
        mean = self.mean / (1 - BETAS[0] ** self.num_steps)
        square = self.square / (1 - BETAS[1] ** self.num_steps)
        step: Array = self.learning_rate * mean / (np.sqrt(square) + EPSILON)
        return step


def _entropy(probabilities_TK: Array) -> float:
    """Summed over decisions, in nats."""
    positive = probabilities_TK[probabilities_TK > 0]
    return float(-(positive * np.log(positive)).sum())
