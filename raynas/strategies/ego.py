"""EGO: of many proposals of the controller the one is trained that a Gaussian process expects most of.

Efficient Global Optimization (Jones, Schonlau, Welch 1998, J. of Global Optimization 13): a Gaussian process
learns the rewards, and what maximises the expected improvement over the best is tried next. Here the maximum
is sought among what the PPO controller draws, which learns from the same rewards and so moves to where good
architectures are. Decisions are categorical: two architectures are as far apart as the number of decisions in
which they differ (Hutter, Hoos, Leyton-Brown 2011, SMAC, section 4.2). Children that are being trained count
with what is expected of them (the "kriging believer" of Ginsbourger, Le Riche, Carraro 2010), so that several
workers do not all try the same.

Shapes: N observations, M running children, P candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.controller import Sample
from raynas.strategies.gaussian_process import GaussianProcess, expected_improvement
from raynas.strategies.ppo import PPO, PPOConfig, one_thread
from raynas.strategies.strategy import Proposal, register_strategy


class EGOConfig(PPOConfig):
    """Options of the controller, and of the choice among its proposals; all of them ours."""

    batch_size: int = Field(10, ge=1, le=65536)
    """Architectures per update: a controller that moves more slowly leaves more to choose from."""
    candidates: int = Field(64, ge=2, le=65536)
    """Drawn by the controller for each proposal."""
    random_children: int = Field(10, ge=2, le=10_000)
    """As many rewards are waited for before the first choice; until then the controller alone proposes."""
    memory: int = Field(500, ge=10, le=10_000)
    """The last rewards, of which the Gaussian process is made: its time grows with the third power."""


HOTTEST = 3.0
"""Temperature of the last candidate, the first one's being 1: a sure policy gives others too."""


@register_strategy("ego")
class EGO(PPO[EGOConfig]):
    """PPO whose proposals are chosen by expected improvement."""

    Config = EGOConfig

    def __init__(self, space: SearchSpace, config: EGOConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.process = GaussianProcess(self.config.memory)
        self._running: dict[int, Actions] = {}

    def adopt(self, proposal: Proposal) -> None:
        super().adopt(proposal)
        self._running[proposal.id] = proposal.actions

    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        self._running.pop(proposal.id, None)
        return super().observe(proposal, reward)

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        if self.process.num_observations < self.config.random_children:
            return super()._draw(proposal_id)
        with one_thread():
            rng = np.random.default_rng([self.seed, proposal_id])
            temperatures_B = np.linspace(1.0, HOTTEST, self.config.candidates)
            sample = self._most_promising(self.sampler().draw_many(rng, temperatures_B))
        return sample.actions, self._info(sample)

    def _most_promising(self, samples: list[Sample]) -> Sample:
        """The candidate of the highest expected improvement; proposed ones only if there is no other."""
        new = {sample.actions: sample for sample in samples if sample.actions not in self._proposed}
        candidates = list(new.values()) or samples[:1]
        mean_P, deviation_P = self.process.predict(
            np.array([sample.actions for sample in candidates]),
            believed=np.array(list(self._running.values())) if self._running else None,
        )
        improvement_P = expected_improvement(mean_P, deviation_P, self.process.best)
        return candidates[int(np.argmax(improvement_P))]

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        with one_thread():
            self.process.add(proposal.actions, reward)
        return super()._learn(proposal, reward)
