"""`raynas train`: the plan that it prints, and what it refuses before anything is started."""

from __future__ import annotations

import re

import pytest

from raynas.cli.terminal.train_plan import Pace, plan_lines
from raynas.errors import UsageError
from raynas.models.networks import NETWORKS
from raynas.programs.train.data import IMAGENET
from raynas.programs.train.pace import measured_images_per_second
from raynas.programs.train.prepare import PreparedTraining, prepare_training
from raynas.programs.train.recipes import DEFAULT_RECIPE, TRAIN_RECIPES, train_config
from search_spaces.nasnet import NASNET_A

WORDS = {"cell": "nasnet_a", "genotype": NASNET_A.to_dict()}


def prepared(tmp_path, **settings):
    return prepare_training(
        NASNET_A, cell="nasnet_a", recipe="cifar_final", out=tmp_path / "out", settings=settings
    )


@pytest.mark.parametrize("recipe", TRAIN_RECIPES)
def test_every_recipe_is_complete(recipe):
    config = train_config(recipe, WORDS)
    assert config.recipe == recipe
    # What begins from weights, or is small, needs no second loss in order to begin.
    assert config.network.auxiliary_head == (recipe not in ("finetune", "small_final"))


def test_by_default_a_training_ends_in_a_day():
    config = train_config(DEFAULT_RECIPE, WORDS)
    assert (config.training.epochs, config.network.filters, config.network.cells_per_stack) == (30, 16, 2)


def test_the_imagenet_recipes_have_the_papers_numbers():
    mobile, large = (train_config(name, WORDS).training for name in ("imagenet_mobile", "imagenet_large"))
    assert (mobile.optimizer.rate(32 * 50), large.optimizer.rate(16 * 100)) == (2.0, 1.5)
    for training in (mobile, large):
        assert (training.optimizer.name, training.optimizer.epsilon, training.optimizer.decay) == (
            "rmsprop",
            1.0,
            0.9,
        )
        assert (training.label_smoothing, training.average_decay, training.gradient_clip) == (
            0.1,
            0.9999,
            10.0,
        )
        assert training.schedule.factor(2.4, 312) == 0.97


def test_the_plan_says_what_is_going_to_be_done(tmp_path):
    training = prepared(tmp_path, training={"epochs": 600})
    text = "\n".join(plan_lines(training, images_per_second=100.0))
    assert "600 epochs of 50 updates, 30,000 in total; 32 images each" in text
    assert "2.7 GPU hours" in text
    assert "note:" not in text


def test_the_plan_has_the_whole_recipe(tmp_path):
    words = {"cell": "nasnet_a", "genotype": NASNET_A.to_dict()}
    settings = {**words, "data": {"streamed": True}, "workers": {"nodes": 4}}
    config = train_config("imagenet_today", settings)
    training = PreparedTraining(tmp_path, config, IMAGENET)
    text = "\n".join(plan_lines(training, images_per_second=500.0))
    assert (
        "training images: 128 pixels for 75, 160 pixels for 75, 192 pixels for 75, 224 pixels for 75" in text
    )
    assert "300 epochs of 1,251 updates, 375,300 in total; 1024 images each" in text
    assert "sgd, learning rate at most 0.5, cosine after 5 epochs of warm-up; weight decay 2e-05" in text
    assert "label smoothing 0.1, auxiliary loss 0.4, dropout 0.5, gradient norm at most 5" in text
    assert "moving average 0.9999, batch norm per worker, bfloat16" in text
    assert "all GPUs of 4 nodes; checkpoints after each epoch, 15 minutes" in text
    # (128^2 + 160^2 + 192^2 + 224^2) / 4 / 224^2 of 300 x 1,281,167 images.
    assert "time: 137.3 GPU hours" in text


@pytest.mark.parametrize(
    ("cell", "recipe", "expected"),
    [
        ("nasnet_a_mobile", "imagenet_mobile", "5.29 M parameters, 564 M multiply-adds .*, 224 pixels, 1000"),
        ("nasnet_a_large", "imagenet_large", "88.8 M parameters, 23.8 G multiply-adds .*, 331 pixels, 1000"),
    ],
)
def test_imagenet_is_planned_where_it_is_not_at_hand(tmp_path, cell, recipe, expected):
    genotype = NETWORKS[cell].spec.genotype
    training = prepare_training(genotype, cell=cell, recipe=recipe, out=tmp_path, is_plan=True)
    text = "\n".join(plan_lines(training, images_per_second=100.0))
    assert re.search(expected, text)
    assert "none given, planned for ImageNet-1k, 1,281,167 training images" in text
    assert "312 epochs of 800 updates, 249,600 in total; 1600 images each" in text
    assert "exponential, times 0.97 every 2.4 epochs" in text
    assert "time: 1,110.3 GPU hours" in text


def test_grown_images_end_at_the_size_that_is_set():
    sizes = {"data": {"streamed": True, "image_size": 112}}
    assert train_config("imagenet_today", WORDS).data.first_image_size == 128
    assert train_config("imagenet_today", {**WORDS, **sizes}).data.first_image_size == 64


def test_the_pace_can_be_measured_here(tmp_path):
    training = prepared(tmp_path, network={"cells_per_stack": 1, "filters": 4, "auxiliary_head": False})
    assert measured_images_per_second(training) > 0
    with pytest.raises(UsageError, match="Give one of them"):
        Pace(given=1.0, is_measured=True).of(training)


def test_the_plan_warns_of_norms_that_do_not_settle(tmp_path):
    training = prepared(tmp_path, training={"epochs": 2}, network={"conventions": {"norm_momentum": 3e-4}})
    assert any(
        "norm_momentum = 0.0003 is for longer trainings" in line for line in plan_lines(training, None)
    )


def test_nothing_is_written_before_training_begins(tmp_path):
    prepared(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training": {"epoch": 3}}, r"training\.epoch is not an option"),
        ({"network": {"stem": "imagenet", "num_reductions": 2}}, "Images of 8 pixels are too small"),
        ({"data": {"source": "nowhere"}}, "nowhere"),
        ({"tracking": {"registered_model": "a/b"}}, r"tracking\.registered_model = 'a/b': .*neither '/' nor"),
        ({"tracking": {"registered_model": " "}}, r"tracking\.registered_model = ' '"),
        ({"tracking": {"registered_model": "..a"}}, r"tracking\.registered_model = '\.\.a'"),
        ({"workers": {"count": 2, "at_least": 3}}, r"at_least = 3 is more than workers\.count = 2"),
        ({"workers": {"count": 2, "nodes": 2}}, r"workers\.nodes = 2 and workers\.count = 2: .*Give one of"),
        ({"training": {"batch_size": 2000}}, r"batch_size = 2000 is more than the 1,618 training images"),
        (
            {"data": {"streamed": True}},
            "This recipe streams images, and the digits are in memory. Set data.source",
        ),
        ({"data": {"source": "s3://bucket/x"}}, "'s3://bucket/x' is an address.*data.streamed=true"),
        ({"data": {"first_image_size": 8}}, r"first_image_size = 8: only streamed images grow"),
    ],
)
def test_what_can_not_be_used_is_named(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path, **settings)
