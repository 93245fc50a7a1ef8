"""How fast a child learned: its training losses over all epochs, instead of its accuracy after the last.

Source: Ru et al. 2021, "Speedy Performance Estimation for Neural Architecture Search" (NeurIPS 2021,
OpenReview XvOH0v2hsph), whose estimate is the sum of the training losses. Among children of equally many
epochs the mean orders cells as the sum does.
"""

from __future__ import annotations

import math

from pydantic import Field

from raynas.strategies.rewards.reward import Outcome, Reward, RewardConfig, register_reward


class TrainingSpeedConfig(RewardConfig):
    """Which epochs count, and how much the accuracy does."""

    last_epochs: int | None = Field(None, ge=1)
    """Number of last epochs whose losses count; None means all. The paper's TSE-E leaves out the first ones,
    in which the loss depends on the initial weights.
    """
    accuracy_share: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Share of the validation accuracy in the reward; 0 leaves the training losses alone, as in the paper."""


@register_reward("training_speed")
class TrainingSpeed(Reward[TrainingSpeedConfig]):
    """exp(-mean training loss), in [0, 1]: the geometric mean of the right classes' probabilities.

    A child that a scheduler stopped early is judged by the epochs that it has trained.
    """

    Config = TrainingSpeedConfig

    def _score(self, outcome: Outcome, accuracy: float) -> float | None:
        curve = outcome.result.curve
        losses = [report.train_loss for report in curve][-(self.config.last_epochs or len(curve)) :]
        if not losses or not all(map(math.isfinite, losses)):
            return None
        learned = math.exp(-max(math.fsum(losses) / len(losses), 0.0))
        share = self.config.accuracy_share
        return (1 - share) * learned + share * accuracy
