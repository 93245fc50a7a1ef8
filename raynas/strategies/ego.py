"""EGO: of many candidates, the one with the highest expected improvement is trained.

Efficient Global Optimization (Jones, Schonlau, Welch 1998, J. of Global Optimization 13): a Gaussian process
models the rewards, and the next point to try maximises the expected improvement over the best. The process
knows the choices, the paths and the operations of a cell (description.py). Candidates are samples of the PPO
controller, which learns from the same rewards and therefore concentrates on good regions, and mutations of
the best architectures. One changed decision alone would end at a second peak, so up to three are changed.
Children that are still being trained count as observations with their predicted score (the "kriging
believer" of Ginsbourger, Le Riche, Carraro 2010), so that several workers don't all try the same region.

Shapes: N observations, M running children, P candidates.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from pydantic import Field

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.controller import Sample
from raynas.strategies.description import Describe, describe_cells
from raynas.strategies.gaussian_process import GaussianProcess, expected_improvement
from raynas.strategies.mutation import mutated
from raynas.strategies.ppo import PPO, one_thread
from raynas.strategies.ppo_config import PPOConfig
from raynas.strategies.strategy import Proposal, register_strategy


class EGOConfig(PPOConfig):
    """Options of the controller and of the choice among the candidates."""

    batch_size: int = Field(10, ge=1, le=65536)
    """Number of rewards per update; a controller that learns more slowly draws more diverse candidates."""
    candidates: int = Field(100, ge=2, le=65536)
    """Number of candidates that the controller draws for each proposal."""
    mutations: int = Field(16, ge=0, le=65536)
    """Number of candidates that are mutations of the best architectures, in one to three decisions."""
    parents: int = Field(10, ge=1, le=1000)
    """Number of best architectures that are mutated."""
    random_children: int = Field(10, ge=2, le=10_000)
    """Number of rewards before the Gaussian process is used; until then the controller proposes alone."""
    memory: int = Field(500, ge=10, le=10_000)
    """Number of most recent rewards that the Gaussian process models; its time grows with the third power."""


HOTTEST = 3.0
"""Temperatures of the candidates rise from 1 to this one, so that a confident policy offers others too."""
MAX_EDITS = 3
"""Largest number of decisions that a mutation changes."""


@register_strategy("ego")
class EGO(PPO[EGOConfig]):
    """PPO whose proposals are selected by expected improvement."""

    Config = EGOConfig

    def __init__(self, space: SearchSpace, config: EGOConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.process = GaussianProcess(self._describe(), memory=config.memory)
        self._running: dict[int, Actions] = {}

    def _describe(self) -> Describe:
        """What the Gaussian process sees of an architecture."""
        return describe_cells(self.space)

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
            actions = self._most_promising(self._candidates(proposal_id))
            # Asked of the policy, because a mutation was not drawn from it.
            log_probs_BT, _ = self.controller.log_probs(torch.tensor([actions]))
            sample = Sample(actions, tuple(float(str(value)) for value in log_probs_BT[0].detach().numpy()))
        return sample.actions, self._info(sample)

    def _candidates(self, proposal_id: int) -> list[Actions]:
        """Draws of the controller and mutations of the best; a repeated one once."""
        rng = np.random.default_rng([self.seed, proposal_id])
        temperatures_B = np.linspace(1.0, HOTTEST, self.config.candidates)
        drawn = [sample.actions for sample in self.sampler().draw_many(rng, temperatures_B)]
        python_rng = random.Random(f"{self.seed}/{proposal_id}")
        parents = self.process.best_actions(self.config.parents)
        changed = [
            self._edited(parents[number % len(parents)], python_rng)
            for number in range(self.config.mutations)
        ]
        return list(dict.fromkeys(drawn + changed))

    def _edited(self, actions: Actions, rng: random.Random) -> Actions:
        for _ in range(rng.randint(1, MAX_EDITS)):
            actions = mutated(self.space, actions, rng)
        return actions

    def _most_promising(self, candidates: list[Actions]) -> Actions:
        """The new candidate with the highest expected improvement; the first one if none is new."""
        new = [actions for actions in candidates if actions not in self._proposed] or candidates[:1]
        mean_P, deviation_P = self.process.predict(new, believed=list(self._running.values()))
        improvement_P = expected_improvement(mean_P, deviation_P, self.process.best)
        return new[int(np.argmax(improvement_P))]

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        with one_thread():
            # It may choose the kernel again, by products of matrices whose bits a replay must repeat.
            self.process.add(proposal.actions, reward)
        return super()._learn(proposal, reward)
