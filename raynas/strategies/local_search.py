"""Local search: try all neighbours of an architecture, move to the best, and stop when none is better.

White, Nolen, Savani, "Exploring the Loss Landscape in Neural Architecture Search" (arXiv 2005.02960),
algorithm 1, with the restarts of the authors' code (naszilla): each climb starts from the best of a few
random architectures, and when it has reached a summit, another climb begins. A neighbour differs in one
decision.

With several workers, scores of a neighbourhood may be outstanding when all of it has been proposed. The
search then goes on with random starts, and resumes the climb if a late neighbour turns out better.
"""

from __future__ import annotations

import random
from typing import Any

from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.mutation import neighbours, random_actions
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig, register_strategy


class LocalSearchConfig(StrategyConfig):
    """The start of a climb."""

    starts: int = Field(10, ge=1)
    """Number of random architectures, the best of which starts a climb; 10 in the authors' code."""


@register_strategy("local_search")
class LocalSearch(Strategy[LocalSearchConfig]):
    """Hill climbing with restarts. Only random starts may be proposed twice."""

    Config = LocalSearchConfig

    def __init__(self, space: SearchSpace, config: LocalSearchConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.scores: dict[Actions, float] = {}
        self.summit: Actions | None = None
        """The best architecture of the current climb; None before the first climb."""
        self.starts: list[Actions] = []
        """Random architectures scored for the next climb."""
        self._proposed: set[Actions] = set()

    def adopt(self, proposal: Proposal) -> None:
        # A replay calls `adopt` where the search called `_draw`, and must climb at the same moments.
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
        # Neighbours don't count as starts, or a climb would begin among the architectures of the one before.
        if proposal.info["is_start"]:
            self.starts.append(proposal.actions)
        return None

    def _untried(self) -> list[Actions]:
        if self.summit is None:
            return []
        return [actions for actions in neighbours(self.space, self.summit) if actions not in self._proposed]

    def _climb(self) -> None:
        """Moves on, as long as all neighbours of the summit have been proposed."""
        # Without an untried neighbour there is nothing to propose here: the climb goes up, or another one
        # begins.
        while not self._untried():
            if not (self._step_up() or self._restart()):
                return

    def _step_up(self) -> bool:
        """Moves to the best scored neighbour if it is better than the summit; returns whether it moved."""
        if self.summit is None:
            return False
        # Scores of neighbours may still be outstanding. A late one that is better is found in a later call.
        scored = [actions for actions in neighbours(self.space, self.summit) if actions in self.scores]
        best = max(scored, key=self.scores.__getitem__, default=self.summit)
        if self.scores[best] <= self.scores[self.summit]:
            return False
        self.summit = best
        return True

    def _restart(self) -> bool:
        """Starts the next climb if enough random architectures are scored; returns whether it did."""
        if len(self.starts) < self.config.starts:
            return False
        self.summit = max(self.starts, key=self.scores.__getitem__)
        # The next climb starts among random architectures of its own.
        self.starts = []
        return True
