"""Local search: try the neighbours of an architecture in random order, and move to the first better one.

White, Nolen, Savani, "Exploring the Loss Landscape in Neural Architecture Search" (arXiv 2005.02960). Their
algorithm 1 tries a whole neighbourhood before it moves to the best of it. Moving at once is better at every
budget (benchmarks/README.md), because a child is expensive and most neighbours of a better architecture are
still to come. A neighbour differs in one decision. When a climb has reached a summit, another one begins at
a random architecture.

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

    starts: int = Field(7, ge=1)
    """Number of random architectures, the best of which starts a climb; 10 in the authors' code, naszilla."""


@register_strategy("local_search")
class LocalSearch(Strategy[LocalSearchConfig]):
    """Hill climbing with restarts. Only random starts may be proposed twice."""

    Config = LocalSearchConfig

    def __init__(self, space: SearchSpace, config: LocalSearchConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.summit: Actions | None = None
        """The best architecture of the current climb; None before the first climb."""
        self.height = 0.0
        """Reward of the summit."""
        self.starts: list[tuple[float, Actions]] = []
        """Random architectures scored for the next climb."""
        self._proposed: set[Actions] = set()

    def adopt(self, proposal: Proposal) -> None:
        # A replay calls `adopt` where the search called `_draw`, and must restart at the same moments.
        self._restart()
        super().adopt(proposal)
        self._proposed.add(proposal.actions)

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        rng = random.Random(f"{self.seed}/{proposal_id}")
        self._restart()
        untried = self._untried()
        if untried:
            return rng.choice(untried), {"is_start": False}
        return random_actions(self.space, rng), {"is_start": True}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        # Whatever is better is a place to go on from: with several workers it may also be a late neighbour of
        # an earlier summit, or a random start.
        if self.summit is not None and reward > self.height:
            self.summit, self.height = proposal.actions, reward
        # Neighbours don't count as starts, or a climb would begin among the architectures of the one before.
        elif proposal.info["is_start"]:
            self.starts.append((reward, proposal.actions))
        return None

    def _untried(self) -> list[Actions]:
        if self.summit is None:
            return []
        return [actions for actions in neighbours(self.space, self.summit) if actions not in self._proposed]

    def _restart(self) -> None:
        """Begins another climb if this one is over and enough random architectures are scored."""
        # As often as needed: all neighbours of the new summit may have been proposed before.
        while len(self.starts) >= self.config.starts and not self._untried():
            self.height, self.summit = max(self.starts)
            self.starts = []
