"""What every reward promises: a finite number or None, which depends on observed outcomes alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from raynas.child import ChildResult, EpochReport
from raynas.strategies.rewards.reward import COSTS, Outcome, Reward

NUM_SEQUENCES = 30


def check_reward(reward: Reward[Any]) -> None:
    """Checks what raynas relies on in a reward.

        def test_my_reward():
            check_reward(MyReward(MyConfig(target=1e6)))

    The function checks that

    - the reward of an outcome is a finite number or None;
    - a child without a score, or with an unknown cost that the reward needs, has no reward;
    - the reward depends on the outcomes observed before and on nothing else, so that a resumed run computes
      the same one.

    Args:
        reward: the reward; it stays unchanged, since new ones are made from its class and config.
    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    for cost in reward.costs:
        assert cost in COSTS, f"there is no cost {cost!r}; known: {', '.join(COSTS)}"
    for number in range(NUM_SEQUENCES):
        rng = random.Random(number)
        outcomes = [_random_outcome(rng) for _ in range(rng.randrange(20))]
        _check_sequence(reward, outcomes)
    _check_children_without_score(_fresh(reward))
    _check_unknown_costs(_fresh(reward))


def _fresh(reward: Reward[Any]) -> Reward[Any]:
    """A reward of the same class and options that has observed nothing, as a resumed run makes it."""
    return type(reward)(reward.config)


def _check_sequence(reward: Reward[Any], outcomes: Sequence[Outcome]) -> None:
    original = _fresh(reward)
    for number, outcome in enumerate(outcomes):
        value = original(outcome)
        assert value is None or math.isfinite(value), f"the reward of {outcome} is {value}"
        assert original(outcome) == value, f"the reward of {outcome} changes when it is asked for twice"
        # A resumed run observes the earlier outcomes, and doesn't ask for their rewards.
        resumed = _fresh(reward)
        for earlier in outcomes[:number]:
            _observe(resumed, earlier)
        assert resumed(outcome) == value, f"the reward of {outcome} depends on more than observed outcomes"
        _observe(original, outcome)


def _observe(reward: Reward[Any], outcome: Outcome) -> None:
    """Observes an outcome like a run, which leaves out infeasible children."""
    if outcome.result.status != "infeasible":
        reward.observe(outcome)


def _check_children_without_score(reward: Reward[Any]) -> None:
    for status in ("failed", "infeasible"):
        value = reward(_outcome_of(status=status))
        assert value is None, f"a child that is {status} has the reward {value}"
    value = reward(_outcome_of(accuracy=None))
    assert value is None, f"a child without an accuracy has the reward {value}"


def _check_unknown_costs(reward: Reward[Any]) -> None:
    unknown = Outcome(ChildResult(status="completed", accuracy=0.5, curve=_curve(0.5)))
    missing = reward.missing(unknown)
    assert missing == reward.costs, f"missing() is {missing}, not {reward.costs}, if no cost is known"
    if reward.costs:
        assert reward(unknown) is None, "a child whose costs are unknown has a reward"
    else:
        assert reward(unknown) is not None, "a completed child with an accuracy has no reward"


def _random_outcome(rng: random.Random) -> Outcome:
    status = rng.choice(("completed", "completed", "stopped", "failed", "infeasible"))
    return _outcome_of(
        status=status,
        accuracy=rng.choice((None, 0.0, 1.0, rng.random(), rng.random(), rng.random())),
        latency_ms=rng.choice((None, rng.uniform(1e-3, 1e4))),
        parameters=rng.choice((None, 0, rng.randrange(10**7))),
        mult_adds=rng.choice((None, rng.randrange(1, 10**9))),
        activations=rng.choice((None, rng.randrange(1, 10**8))),
        train_loss=rng.choice((0.0, rng.uniform(0.0, 1e3), math.inf, math.nan)),
    )


def _outcome_of(
    *,
    status: Any = "completed",
    accuracy: float | None = 0.75,
    latency_ms: float | None = 5.0,
    parameters: int | None = 100,
    mult_adds: int | None = 2000,
    activations: int | None = 300,
    train_loss: float = 1.0,
) -> Outcome:
    result = ChildResult(
        status=status, accuracy=accuracy, latency_ms=latency_ms, curve=_curve(accuracy, train_loss)
    )
    return Outcome(result, parameters=parameters, mult_adds=mult_adds, activations=activations)


def _curve(accuracy: float | None, train_loss: float = 1.0) -> tuple[EpochReport, ...]:
    if accuracy is None:
        return ()
    return (EpochReport(epoch=1, accuracy=accuracy, train_loss=train_loss, seconds=1.0),)
