"""A child of every search space trains on digits, with the networks that its space's papers use."""

from __future__ import annotations

import functools

import pytest

from raynas.cells.space import SPACES
from raynas.child import Child
from raynas.data import DataConfig, load_split
from raynas.programs.search.recipes import search_config
from raynas.strategies.strategy import make_strategy
from raynas.training.device import Placement
from raynas.training.images import DeviceImages
from raynas.training.trainer import ChildTrainer


@functools.cache
def digits() -> DeviceImages:
    return DeviceImages(load_split(DataConfig(train_images=512, validation_images=128), seed=0))


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES.names())
def test_a_child_of_every_space_trains(name):
    settings = {"space": {"name": name}, "network": {"filters": 4}, "child": {"epochs": 1, "batch_size": 32}}
    config = search_config("small", settings)
    space = config.make_space()
    genotype = space.decode(make_strategy("random", space, seed=0).propose().actions)
    train = ChildTrainer(config.network, config.child, digits(), Placement())
    result = train(Child(0, genotype, genotype.arch_id, 1), lambda _: None, lambda: False)
    assert result.status == "completed", result.reason
    assert result.accuracy is not None


@pytest.mark.parametrize(
    ("name", "head"), [("nasnet", "relu"), ("darts", "plain"), ("nasbench201", "norm_relu")]
)
def test_a_space_brings_its_networks_settings_and_a_user_may_change_them(name, head):
    space = {"space": {"name": name}}
    assert search_config("small", space).network.head == head
    assert search_config("small", space | {"network": {"head": "relu"}}).network.head == "relu"


def test_a_spaces_settings_lie_below_the_users_field_by_field():
    settings = {"space": {"name": "darts"}, "network": {"conventions": {"padding": "same"}}}
    conventions = search_config("small", settings).network.conventions
    assert (conventions.padding, conventions.match_previous) == ("same", "always")
