"""From what a child did to what the strategy is told. Runs on the driver, never in a worker."""

from __future__ import annotations

from raynas.child import ChildResult


def accuracy_reward(result: ChildResult) -> float | None:
    """Held-out validation accuracy (Zoph et al. 2018, section 3), of a stopped child the last one known.

    None for a child without a score: it teaches the strategy nothing.
    """
    return None if result.status == "failed" else result.accuracy
