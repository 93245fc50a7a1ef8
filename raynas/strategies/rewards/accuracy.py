"""The validation accuracy as the reward."""

from __future__ import annotations

from raynas.strategies.rewards.reward import Outcome, Reward, register_reward


@register_reward("accuracy")
class Accuracy(Reward):
    """Accuracy on held-out validation images (Zoph et al. 2018, section 3)."""

    def _score(self, outcome: Outcome, accuracy: float) -> float:
        return accuracy
