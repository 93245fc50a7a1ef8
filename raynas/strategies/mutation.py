"""Random architectures, and architectures that differ from another in one decision. Pure Python."""

from __future__ import annotations

import random
from collections.abc import Iterator

from raynas.cells.space import Actions, SearchSpace


def random_actions(space: SearchSpace, rng: random.Random) -> Actions:
    """Actions with each decision drawn uniformly."""
    return tuple(rng.randrange(len(decision.choices)) for decision in space.decisions)


def mutated(space: SearchSpace, actions: Actions, rng: random.Random) -> Actions:
    """`actions` with one decision changed, drawn uniformly among the decisions that have several choices.

    Returns `actions` itself if no decision has several choices.
    """
    open_decisions = [index for index, decision in enumerate(space.decisions) if len(decision.choices) > 1]
    if not open_decisions:
        return actions
    index = rng.choice(open_decisions)
    # A single random number chooses among the others: the last choice takes the place of the old one, so no
    # draw is rejected and all others are equally likely.
    num_others = len(space.decisions[index].choices) - 1
    action = rng.randrange(num_others)
    return _replaced(actions, index, num_others if action == actions[index] else action)


def neighbours(space: SearchSpace, actions: Actions) -> Iterator[Actions]:
    """All architectures that differ from `actions` in exactly one decision, in order."""
    for index, decision in enumerate(space.decisions):
        for action in range(len(decision.choices)):
            if action != actions[index]:
                yield _replaced(actions, index, action)


def _replaced(actions: Actions, index: int, action: int) -> Actions:
    return (*actions[:index], action, *actions[index + 1 :])
