"""Optimisers against their formulas, and learning rates over time."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from raynas.config import validated
from raynas.errors import InvalidConfig
from raynas.programs.train.config import TrainConfig
from raynas.training.classification import classifier_training
from raynas.training.device import Placement
from raynas.training.optimizer_config import OptimizerConfig, ScheduleConfig
from raynas.training.optimizers import build_optimizer, load_optimizer
from search_spaces.nasnet import NASNET_A
from tests.training.final_runs import final_config, network, source


def test_rmsprop_is_tensorflows():
    weight = nn.Parameter(torch.tensor([[0.5, -2.0]], dtype=torch.float64))
    layer = nn.Module()
    layer.weight = weight
    config = OptimizerConfig(
        name="rmsprop", learning_rate=0.1, momentum=0.8, decay=0.9, epsilon=1.0, weight_decay=0.01
    )
    optimizer = build_optimizer(layer, config, batch_size=1)
    expected, square, velocity = [0.5, -2.0], [1.0, 1.0], [0.0, 0.0]
    for step in range(5):
        gradient = [step + 1.0, -0.5 * step]
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        for i in range(2):
            g = gradient[i] + 0.01 * expected[i]
            square[i] = 0.9 * square[i] + 0.1 * g * g
            velocity[i] = 0.8 * velocity[i] + 0.1 * g / math.sqrt(square[i] + 1.0)
            expected[i] -= velocity[i]
    assert weight[0].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adamw"])
def test_norms_and_biases_have_no_weight_decay(name):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    optimizer = build_optimizer(network, OptimizerConfig(name=name, weight_decay=0.1), 1)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert [decays[id(p)] for p in network.parameters()] == [0.1, 0.0, 0.0, 0.0, 0.1, 0.0]


def test_the_rate_is_proportional_to_the_batch_where_it_says_for_which_batch_it_is():
    assert OptimizerConfig(learning_rate=0.04, reference_batch=32).rate(1600) == pytest.approx(2.0)
    assert OptimizerConfig(learning_rate=0.04).rate(1600) == 0.04


def test_cosine_falls_to_nothing_after_a_linear_rise():
    schedule = ScheduleConfig(warmup_epochs=2)
    factors = [schedule.factor(epoch, 10) for epoch in (0, 1, 2, 5, 10)]
    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.5 * (1 + math.cos(0.375 * math.pi)), 0.0])


@pytest.mark.parametrize("name", ["cosine", "exponential", "constant"])
@pytest.mark.parametrize(("warmup", "epochs"), [(5, 10), (2, 4), (0.5, 1), (2.5, 3), (5, 300)])
def test_d9_the_warm_up_meets_its_schedule_at_the_full_rate(name, warmup, epochs):
    schedule = ScheduleConfig(name=name, warmup_epochs=warmup)
    assert schedule.factor(warmup - 1e-6, epochs) == pytest.approx(1.0, abs=1e-4)
    assert schedule.factor(warmup, epochs) == 1.0
    steps = [schedule.factor(step / 100, epochs, 0.01) for step in range(100 * epochs)]
    assert steps[0] > 0 and max(steps) == 1.0
    assert max(abs(later - earlier) for earlier, later in itertools.pairwise(steps)) < 0.04
    assert schedule.factor(epochs, epochs) == pytest.approx({"cosine": 0.0}.get(name, steps[-1]))


@pytest.mark.parametrize("epochs", [1, 7, 600])
def test_d9_without_a_warm_up_the_numbers_are_those_of_before(epochs):
    cosine, stairs = ScheduleConfig(), ScheduleConfig(name="exponential")
    for step in range(50 * epochs):
        epoch = step / 50
        assert cosine.factor(epoch, epochs, 0.02) == 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))
        assert stairs.factor(epoch, epochs, 0.02) == 0.97 ** math.floor(epoch / 2.4)


@pytest.mark.parametrize(("warmup", "epochs"), [(2, 2), (5, 3), (1, 1)])
def test_d9_a_warm_up_that_is_not_shorter_than_the_training_is_refused(warmup, epochs):
    settings = {"training": {"epochs": epochs, "schedule": {"warmup_epochs": warmup}}}
    with pytest.raises(InvalidConfig, match=r"^training\.schedule\.warmup_epochs = .*training\.epochs = "):
        validated(TrainConfig, {"cell": "nasnet_a", "genotype": NASNET_A.to_dict(), **settings})


def test_d9_the_first_update_of_a_warm_up_moves_the_weights_and_its_last_has_the_full_rate():
    config = final_config(epochs=2, schedule={"warmup_epochs": 1}, optimizer={"learning_rate": 0.1})
    rates = []
    training = classifier_training(network(), source(), config, Placement())
    training.run(check=lambda: rates.append(training.optimizer.param_groups[0]["lr"]))
    # The check comes before its update, so that it sees the rate of the one before.
    assert rates[1] == pytest.approx(0.1 / training.steps_per_epoch)
    assert rates[training.steps_per_epoch] == pytest.approx(0.1)


def test_exponential_falls_in_steps_to_its_floor():
    schedule = ScheduleConfig(name="exponential", decay_rate=0.5, decay_epochs=2.4, floor=0.2)
    assert [schedule.factor(epoch, 100) for epoch in (0, 2.39, 2.4, 4.8, 7.2, 50)] == [
        1,
        1,
        0.5,
        0.25,
        0.2,
        0.2,
    ]


def test_moments_whose_elements_share_their_memory_can_be_updated():
    layer = nn.Linear(3, 2, bias=False)
    optimizer = build_optimizer(
        layer, OptimizerConfig(name="sgd", momentum=0.5, weight_decay=0.0), batch_size=1
    )
    load_optimizer(optimizer, {"state": {0: {"momentum_buffer": torch.ones(1).expand(2, 3)}}})
    layer.weight.grad = torch.arange(6.0).reshape(2, 3)
    optimizer.step()
    assert optimizer.state[layer.weight]["momentum_buffer"].flatten().tolist() == [
        0.5,
        1.5,
        2.5,
        3.5,
        4.5,
        5.5,
    ]
