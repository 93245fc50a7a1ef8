"""EGO: the controller draws many candidates, and the one with the highest expected improvement is trained.

Efficient Global Optimization (Jones, Schonlau, Welch 1998, J. of Global Optimization 13): a Gaussian process
models the rewards, and the next point to try maximises the expected improvement over the best. Here the
candidates are samples of the PPO controller, which learns from the same rewards and therefore concentrates on
good regions. Decisions are categorical, so the distance of two architectures is the number of decisions in
which they differ (Hutter, Hoos, Leyton-Brown 2011, SMAC, section 4.2). Children that are still being trained
count as observations with their predicted score (the "kriging believer" of Ginsbourger, Le Riche, Carraro
2010), so that several workers don't all try the same region.

Shapes: N observations, M running children, P candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.controller import Sample
from raynas.strategies.gaussian_process import GaussianProcess, expected_improvement
from raynas.strategies.ppo import PPO, one_thread
from raynas.strategies.ppo_config import PPOConfig
from raynas.strategies.strategy import Proposal, register_strategy


class EGOConfig(PPOConfig):
    """Options of the controller and of the choice among its candidates."""

    batch_size: int = Field(10, ge=1, le=65536)
    """Number of rewards per update; a controller that learns more slowly draws more diverse candidates."""
    candidates: int = Field(64, ge=2, le=65536)
    """Number of candidates that the controller draws for each proposal."""
    random_children: int = Field(10, ge=2, le=10_000)
    """Number of rewards before the Gaussian process is used; until then the controller proposes alone."""
    memory: int = Field(500, ge=10, le=10_000)
    """Number of most recent rewards that the Gaussian process models; its time grows with the third power."""


HOTTEST = 3.0
"""Temperatures of the candidates rise from 1 to this one, so that a confident policy offers others too."""


@register_strategy("ego")
class EGO(PPO[EGOConfig]):
    """PPO whose proposals are selected by expected improvement."""

    Config = EGOConfig

    def __init__(self, space: SearchSpace, config: EGOConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        num_choices = max(len(decision.choices) for decision in space.decisions)
        self.process = GaussianProcess(num_choices, memory=config.memory)
        self._running: dict[int, Actions] = {}

    def adopt(self, proposal: Proposal) -> None:
        super().adopt(proposal)
        self._running[proposal.id] = proposal.actions

    def observe(self, proposal: Proposal, reward: float | None) -> dict[str, float] | None:
        # Also without a reward: a failed child must not count as running for ever.
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
        """The new candidate with the highest expected improvement; the first one if none is new."""
        # A dict, because draws at low temperatures often coincide, and each architecture need be judged only
        # once.
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
            # It may choose the kernel again, by products of matrices whose bits a replay must repeat.
            self.process.add(proposal.actions, reward)
        return super()._learn(proposal, reward)
