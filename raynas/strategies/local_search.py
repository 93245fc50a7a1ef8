"""Local search: all neighbours of an architecture are tried, the best of them is next, until none is better.

White, Nolen, Savani, "Exploring the Loss Landscape in Neural Architecture Search" (arXiv 2005.02960),
algorithm 1, with the restarts of the authors' code (naszilla): the best of a few random architectures begins
a climb, and a climb that is over is followed by another. A neighbour differs in one decision.

With many workers a neighbourhood is left when all of it has been proposed; a neighbour that is scored later,
and is better, takes the climb up again.
"""

from __future__ import annotations

import random
from typing import Any

from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.mutation import neighbours, random_actions
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig, register_strategy


class LocalSearchConfig(StrategyConfig):
    """How a climb begins."""

    starts: int = Field(10, ge=1)
    """Random architectures of which the best begins a climb; 10 in the authors' code."""


@register_strategy("local_search")
class LocalSearch(Strategy[LocalSearchConfig]):
    """Proposes no architecture twice, but for random starts."""

    Config = LocalSearchConfig

    def __init__(self, space: SearchSpace, config: LocalSearchConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.scores: dict[Actions, float] = {}
        self.summit: Actions | None = None
        """The best of this climb so far."""
        self.starts: list[Actions] = []
        """Scored for the next climb."""
        self._proposed: set[Actions] = set()

    def adopt(self, proposal: Proposal) -> None:
        # A replay adopts where the search drew: it must climb at the same moments.
        self._climb()
        super().adopt(proposal)
        self._proposed.add(proposal.actions)

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        rng = random.Random(f"{self.seed}/{proposal_id}")
        self._climb()
        untried = self._untried()
        if untried:
            return rng.choice(untried), {"is_start": False}
        return random_actions(self.space, rng), {"is_start": True}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        self.scores[proposal.actions] = reward
        if proposal.info["is_start"]:
            self.starts.append(proposal.actions)
        return None

    def _untried(self) -> list[Actions]:
        if self.summit is None:
            return []
        return [actions for actions in neighbours(self.space, self.summit) if actions not in self._proposed]

    def _climb(self) -> None:
        """Moves on from a summit whose neighbours have all been proposed; otherwise does nothing."""
        while not self._untried():
            if not (self._step_up() or self._start_anew()):
                return

    def _step_up(self) -> bool:
        """To the best neighbour, if it is better."""
        if self.summit is None:
            return False
        scored = [actions for actions in neighbours(self.space, self.summit) if actions in self.scores]
        best = max(scored, key=self.scores.__getitem__, default=self.summit)
        if self.scores[best] <= self.scores[self.summit]:
            return False
        self.summit = best
        return True

    def _start_anew(self) -> bool:
        if len(self.starts) < self.config.starts:
            return False
        self.summit, self.starts = max(self.starts, key=self.scores.__getitem__), []
        return True
