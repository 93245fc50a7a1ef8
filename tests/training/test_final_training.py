"""Final training: it learns, it can be interrupted anywhere, and how it is divided does not matter."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch

from benchmarks.full_step import step
from raynas.errors import InvalidConfig, TrainingFailed
from raynas.training.classification import classifier_training
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.final_config import TrainingSummary, divisible, micro_batch
from tests.training.final_runs import (
    assert_is_fed,
    final_config,
    network,
    source,
    train_with_frozen_norms,
    weights_of,
)
from tests.training.tiny_children import digits


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def largest_difference(one, other):
    return max((one[name] - other[name]).abs().max().item() for name in one if one[name].is_floating_point())


def test_it_learns_digits_and_reports_each_epoch():
    summaries: list[TrainingSummary] = []
    config = final_config(epochs=4, optimizer={"learning_rate": 0.1}, average_decay=0.99)
    training = classifier_training(network(), source(digits(1024, 256)), config, Placement())
    training.run(summaries.append)
    assert [summary.epoch for summary in summaries] == [1, 2, 3, 4]
    assert summaries[-1].train_loss < summaries[0].train_loss
    assert summaries[-1].top1 > 0.3
    assert summaries[-1].top1 <= summaries[-1].top5 <= 1.0


OPTIMIZERS = [
    {"name": "sgd"},
    {"name": "rmsprop", "learning_rate": 0.01},
    {"name": "adamw", "learning_rate": 1e-3},
]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["name"])
@pytest.mark.parametrize("saved", [0, 1, 2, 3])
def test_an_interrupted_training_ends_with_the_same_weights(optimizer, saved):
    config = final_config(
        batch_size=16,
        optimizer=optimizer,
        average_decay=0.9,
        checkpoint_steps=4,
        schedule={"warmup_epochs": 0.5},
    )
    states: list[bytes] = []

    def save(_: object) -> None:
        file = io.BytesIO()
        torch.save(whole.state_dict(), file)
        states.append(file.getvalue())

    whole = classifier_training(network(drop_path=0.5, dropout=0.5), source(), config, Placement())
    assert_is_fed(whole)
    whole.run(save)
    resumed = classifier_training(network(drop_path=0.5, dropout=0.5), source(), config, Placement())
    resumed.load_state_dict(torch.load(io.BytesIO(states[saved]), weights_only=True))
    resumed.run()
    assert_same(weights_of(whole), weights_of(resumed))


def test_accumulated_steps_give_the_update_of_the_whole_batch():
    whole = train_with_frozen_norms(Placement(), epochs=1)
    parts = train_with_frozen_norms(Placement(), epochs=1, accumulate=4)
    assert largest_difference(whole, parts) < 1e-5


@pytest.mark.slow
def test_two_ranks_give_the_updates_of_one_with_twice_the_batch(two_ranks):
    one = train_with_frozen_norms(Placement(), epochs=1)
    first, second = (ends["final"] for ends in two_ranks)
    assert_same(first, second)
    assert largest_difference(one, first) < 1e-5


def test_an_auxiliary_head_is_trained_and_not_evaluated():
    training = classifier_training(
        network(auxiliary_head=True), source(), final_config(epochs=1), Placement()
    )
    weight = training.network.get_parameter("auxiliary.classifier.weight")
    before = weight.detach().clone()
    training.run()
    assert not torch.equal(before, weight)
    assert 0.0 <= training.scores()["top1"] <= 1.0


def test_the_average_lags_behind_and_is_what_is_evaluated():
    training = classifier_training(network(), source(), final_config(average_decay=0.9999), Placement())
    training.run()
    averaged, last = training.evaluated.stem[0][0].weight, training.network.stem[0][0].weight
    assert not torch.equal(averaged, last)
    # Not stuck at the start either: TensorFlow's warm-up of the decay.
    assert (averaged - last).norm() < (network().stem[0][0].weight - last).norm()


def test_a_loss_that_is_not_finite_ends_the_training_with_advice():
    config = final_config(optimizer={"learning_rate": 1e30}, gradient_clip=None)
    with pytest.raises(TrainingFailed, match=r"The loss became (nan|inf).*learning_rate"):
        classifier_training(network(), source(), config, Placement()).run()


@pytest.mark.parametrize(
    ("fields", "placement", "message"),
    [
        ({"batch_size": 33}, Placement(num_ranks=2), "can't be divided over 2 workers and 1 accumulated"),
        ({"accumulate": 3}, Placement(), "Give a multiple of 3"),
        ({"batch_size": 100_000}, Placement(), "is more than the data set has"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(fields, placement, message):
    with pytest.raises(InvalidConfig, match=message):
        classifier_training(network(), source(), final_config(**fields), placement)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "num_ranks", "expected"),
    [(32, 1, 2, 32), (32, 1, 3, 30), (32, 2, 3, 30), (256, 1, 7, 252), (2, 1, 3, 3)],
)
def test_a_batch_is_rounded_down_to_what_ranks_can_share(batch_size, accumulate, num_ranks, expected):
    config = divisible(final_config(batch_size=batch_size, accumulate=accumulate), num_ranks)
    assert config.batch_size == expected
    assert micro_batch(config, num_ranks) * num_ranks * accumulate == expected


class _Enough(Exception):
    pass


def test_a_schedule_goes_by_images_when_the_batch_changes_in_an_epoch():
    config = final_config(epochs=4, schedule={"name": "cosine"}, optimizer={"learning_rate": 0.1})
    first, second = (
        classifier_training(network(), source(), changed, Placement())
        for changed in (config, divisible(config, 5))
    )
    assert second.config.batch_size == 30
    steps = first.steps_per_epoch + first.steps_per_epoch // 2

    def stop_after(training: FinalTraining[Any], step: int) -> None:
        if training.step == step:
            raise _Enough

    with pytest.raises(_Enough):
        first.run(check=lambda: stop_after(first, steps))
    second.load_state_dict(first.state_dict())
    with pytest.raises(_Enough):
        second.run(check=lambda: stop_after(second, steps + 1))
    share = first.position / (second.steps_per_epoch * 30)
    expected = 0.1 * config.schedule.factor(1 + share, 4)
    assert second.optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-9)
    assert 0.3 < share < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasnet_a_mobile", "nasnet_a_large"])
def test_a_full_size_network_takes_a_step(name):
    done = step(name, num_images=2)
    assert done["changed"] == 1.0
    assert done["is_finite"]


def test_each_image_comes_once_in_an_epoch_whatever_the_ranks():
    everything = source()
    size = everything.images.split.train_labels_N.size // 4 * 4
    for num_ranks in (1, 2, 4):
        batches = [
            list(everything.train_batches(3, 4 // num_ranks, rank=rank, num_ranks=num_ranks))
            for rank in range(num_ranks)
        ]
        steps = list(zip(*batches, strict=True))
        assert sum(len(batch.labels_N) for step in steps for batch in step) == size
        assert all(len({batch.position for batch in step}) == 1 for step in steps)
    assert not math.isnan(everything.num_classes)
