"""The reward for learning fast: the paper's order of children, and what has no reward."""

from __future__ import annotations

import math
from typing import Any

import pytest

from raynas.child import ChildResult, EpochReport
from raynas.errors import InvalidConfig
from raynas.strategies.rewards.reward import Outcome, make_reward


def outcome(*losses: float, accuracy: float = 0.5, status: Any = "completed") -> Outcome:
    curve = tuple(
        EpochReport(epoch=epoch, accuracy=accuracy, train_loss=loss, seconds=epoch)
        for epoch, loss in enumerate(losses, start=1)
    )
    return Outcome(ChildResult(status=status, accuracy=accuracy, curve=curve))


def test_the_order_is_that_of_the_sums_of_losses():
    reward = make_reward("training_speed")
    children = [(2.0, 1.0, 0.9), (1.5, 1.2, 1.1), (3.0, 0.1, 0.05), (1.0, 1.0, 1.0)]
    by_reward = sorted(children, key=lambda losses: -(reward(outcome(*losses)) or 0.0))
    assert by_reward == sorted(children, key=sum)


def test_it_is_the_geometric_mean_of_the_probabilities():
    probabilities = (0.1, 0.4, 0.2)
    losses = (-math.log(probability) for probability in probabilities)
    expected = math.prod(probabilities) ** (1 / 3)
    assert make_reward("training_speed")(outcome(*losses)) == pytest.approx(expected)


def test_only_the_last_epochs_count_where_so_many_are_asked_for():
    reward = make_reward("training_speed", last_epochs=2)
    assert reward(outcome(9.0, 1.0, 0.5)) == pytest.approx(math.exp(-0.75))
    assert reward(outcome(1.0)) == pytest.approx(math.exp(-1.0))


def test_the_accuracy_has_its_share():
    reward = make_reward("training_speed", accuracy_share=0.25)
    assert reward(outcome(1.0, accuracy=0.8)) == pytest.approx(0.75 * math.exp(-1.0) + 0.25 * 0.8)


@pytest.mark.parametrize("losses", [(), (1.0, math.nan), (math.inf,)])
def test_without_finite_losses_there_is_no_reward(losses):
    assert make_reward("training_speed")(outcome(*losses)) is None


def test_a_child_that_was_stopped_has_the_mean_of_its_epochs():
    assert make_reward("training_speed")(outcome(1.0, 0.5, status="stopped")) == pytest.approx(
        math.exp(-0.75)
    )


def test_a_share_beyond_one_is_refused_by_name():
    with pytest.raises(InvalidConfig, match=r"accuracy_share = 2"):
        make_reward("training_speed", accuracy_share=2)
