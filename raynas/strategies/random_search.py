"""Random search: each decision is drawn uniformly. Every other strategy has to beat this baseline.

Source: Zoph et al. 2018, section 4.4 (a "uniform distribution" in place of the controller's softmaxes).
"""

from __future__ import annotations

import random
from typing import Any

from raynas.cells.space import Actions
from raynas.strategies.mutation import random_actions
from raynas.strategies.strategy import Proposal, Strategy, register_strategy


@register_strategy("random")
class RandomSearch(Strategy):
    """Draws every architecture independently and learns nothing."""

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        return random_actions(self.space, random.Random(f"{self.seed}/{proposal_id}")), {}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        return None
