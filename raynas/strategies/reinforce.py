"""REINFORCE (Williams 1992) with an independent softmax for each decision.

Settings as in NATS-Bench (Dong et al. 2021, arXiv 2009.00437; AutoDL-Projects exps/NATS-algos/reinforce.py):
logits start with a standard deviation of 0.001, Adam has a learning rate of 0.01, and the baseline is a
bias-corrected moving average of the rewards that includes the newest one.

With several workers a reward may arrive when the policy has already moved on. It is then treated as if the
current policy had drawn the architecture.
"""

# Shapes: T decisions, K the largest number of choices.

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.nn.eager_optimizers import Adam
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig, register_strategy

INIT_DEVIATION = 0.001


class ReinforceConfig(StrategyConfig):
    """Options of REINFORCE; the defaults are NATS-Bench's."""

    learning_rate: float = Field(0.01, gt=0)
    """Learning rate of Adam."""
    baseline_weight: float = Field(0.9, ge=0, lt=1)
    """Weight of earlier rewards in their moving average."""


@register_strategy("reinforce")
class Reinforce(Strategy[ReinforceConfig]):
    """Takes one gradient step per reward."""

    Config = ReinforceConfig

    def __init__(self, space: SearchSpace, config: ReinforceConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        num_choices_T = np.array([len(decision.choices) for decision in space.decisions])
        is_choice_TK = np.arange(num_choices_T.max()) < num_choices_T[:, None]
        logits_TK = np.random.default_rng(seed).normal(0.0, INIT_DEVIATION, is_choice_TK.shape)
        # Decisions with fewer than K choices are padded with -inf: probability 0 and gradient 0, so that Adam
        # never moves the padding. Double precision, so that rounding doesn't decide between two draws.
        self.logits_TK = torch.tensor(np.where(is_choice_TK, logits_TK, -np.inf), requires_grad=True)
        self.optimizer = Adam([self.logits_TK], lr=config.learning_rate)
        self.baseline = 0.0
        self.num_rewards = 0

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        uniform_T = np.random.default_rng([self.seed, proposal_id]).random(len(self.logits_TK))
        cumulative_TK = self.logits_TK.detach().softmax(dim=1).cumsum(dim=1).numpy()
        # Scaled by the actual sum, which rounding may leave below 1: a draw between the two would fall on the
        # padding.
        drawn_T = (cumulative_TK <= (uniform_T * cumulative_TK[:, -1])[:, None]).sum(axis=1)
        return tuple(drawn_T.tolist()), {}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        # NATS-Bench's order: the average takes in the reward first, so the first advantage is 0.
        advantage = reward - self._move_baseline(reward)
        log_probs_TK = self.logits_TK.log_softmax(dim=1)
        drawn_T1 = torch.tensor(proposal.actions)[:, None]
        self.optimizer.zero_grad()
        loss = -advantage * log_probs_TK.gather(1, drawn_T1).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"mean_reward": reward, "baseline": self.baseline, "entropy": self._entropy()}

    def _move_baseline(self, reward: float) -> float:
        """Adds the reward to the moving average and returns the new average."""
        self.num_rewards += 1
        weight = self.config.baseline_weight
        # The division corrects the bias towards the initial 0; the first average is the first reward itself.
        share = (1 - weight) / (1 - weight**self.num_rewards)
        self.baseline += share * (reward - self.baseline)
        return self.baseline

    def _entropy(self) -> float:
        """Entropy of the policy in nats, summed over decisions."""
        log_probs_TK = self.logits_TK.detach().log_softmax(dim=1)
        # The padding contributes 0 * -inf = NaN, and is left out.
        return -float((log_probs_TK.exp() * log_probs_TK).nansum())
