"""A search without a network: a small space, a score by formula, one child after another."""

from __future__ import annotations

from collections.abc import Callable

from raynas.cells.space import Actions
from raynas.strategies.strategy import Proposal, Strategy
from search_spaces.nasbench201 import NASBench201Space

SPACE = NASBench201Space()
TARGET: Actions = (3, 1, 4, 1, 0, 2)


def closeness(actions: Actions) -> float:
    """The share of decisions that are as in TARGET: one summit, and a way up from everywhere."""
    return sum(a == b for a, b in zip(actions, TARGET, strict=True)) / len(TARGET)


def search(
    strategy: Strategy, num_children: int, score: Callable[[Actions], float | None] = closeness
) -> list[Proposal]:
    """What was proposed, each observed before the next."""
    proposals = []
    for _ in range(num_children):
        proposal = strategy.propose()
        strategy.observe(proposal, score(proposal.actions))
        proposals.append(proposal)
    return proposals


def distance(one: Actions, other: Actions) -> int:
    """Decisions in which they differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))
