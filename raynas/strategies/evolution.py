"""Regularised evolution: the best of a random sample is mutated, and the oldest member is removed.

Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier Architecture Search" (arXiv
1802.01548), algorithm 1. The paper uses a population of 100 and samples of 25 (recipe `amoebanet_paper`); the
defaults are for a few hundred children (NATS-Bench, Dong et al. 2021, arXiv 2009.00437). A mutation here
changes exactly one decision of any kind; the paper's mutation first chooses between inputs and operations,
and may leave the architecture unchanged.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from pydantic import Field, model_validator

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.mutation import mutated, random_actions
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig, register_strategy


class EvolutionConfig(StrategyConfig):
    """Sizes of the population and of the sample."""

    population: int = Field(10, ge=2)
    """Size of the population, which is the most recently scored architectures; 100 in the paper."""
    sample: int = Field(3, ge=1)
    """Number of members drawn with replacement, the best of which is mutated; 25 in the paper."""

    @model_validator(mode="after")
    def _sample_within_population(self) -> EvolutionConfig:
        if self.sample > self.population:
            raise ValueError(f"sample {self.sample} is more than the population of {self.population}")
        return self


@register_strategy("evolution")
class Evolution(Strategy[EvolutionConfig]):
    """Proposes random architectures until the population is full, and mutations from then on.

    A child without a score never enters the population.
    """

    Config = EvolutionConfig

    def __init__(self, space: SearchSpace, config: EvolutionConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        # A full deque drops its oldest member when one is appended, which is the ageing of algorithm 1.
        self.population: deque[tuple[float, Actions]] = deque(maxlen=self.config.population)

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        # Random hashes a string with SHA-512, so the seed is the same in every process, and proposals are
        # independent.
        rng = random.Random(f"{self.seed}/{proposal_id}")
        # Counted by scores, not by proposals: where many workers run, more random architectures are proposed
        # meanwhile.
        if len(self.population) < self.config.population:
            return random_actions(self.space, rng), {}
        competitors = rng.choices(self.population, k=self.config.sample)
        _, parent = max(competitors, key=lambda member: member[0])
        return mutated(self.space, parent, rng), {}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        self.population.append((reward, proposal.actions))
        return None
