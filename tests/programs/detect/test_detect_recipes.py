"""Recipes of detectors: each is complete, and has the numbers of its source."""

from __future__ import annotations

import pytest

from raynas.detection.plan import plan_detector
from raynas.errors import UnknownName
from raynas.models.networks import NETWORKS
from raynas.nn import NetworkSpec
from raynas.programs.detect.recipes import COCO_IMAGES, DEFAULT_RECIPE, DETECT_RECIPES, detect_config
from search_spaces.nasnet import NASNET_A

WORDS = {"cell": "nasnet_a", "genotype": NASNET_A.to_dict(), "data": {"source": "coco"}}
WITH_WEIGHTS = {**WORDS, "weights": {"source": "runs/imagenet"}}


def config_of(recipe, **settings):
    return detect_config(recipe, {**WITH_WEIGHTS, **settings})


def plan_of(config):
    spec = NetworkSpec(NASNET_A, config.network, 3, 0, config.detector.sides[-1])
    return plan_detector(spec, config.detector, num_classes=80)


@pytest.mark.parametrize("recipe", DETECT_RECIPES)
def test_every_recipe_is_a_detector_that_can_be_planned(recipe):
    config = config_of(recipe)
    assert config.recipe == recipe
    assert plan_of(config).num_anchors >= 3
    assert detect_config(recipe, {**WORDS, "training": {"epochs": 200}}).training.epochs == 200


def test_the_default_recipe_is_one():
    assert DEFAULT_RECIPE in DETECT_RECIPES
    with pytest.raises(UnknownName, match="recipe of detection"):
        detect_config("coco_large", WORDS)


def test_coco_has_the_numbers_of_torchvisions_reference():
    config = config_of("coco")
    training, detector = config.training, config.detector
    assert (training.epochs, training.batch_size, training.optimizer.rate(16)) == (26, 16, 0.02)
    assert (training.optimizer.name, training.optimizer.momentum, training.optimizer.weight_decay) == (
        "sgd",
        0.9,
        1e-4,
    )
    factors = [training.schedule.factor(epoch, 26) for epoch in (15.9, 16.0, 22.0)]
    assert factors == pytest.approx([1.0, 0.1, 0.01])
    # A linear warm-up from a thousandth over a thousand updates.
    step = 16 / COCO_IMAGES
    assert training.schedule.factor(0.0, 26, step) == pytest.approx(0.001)
    assert training.schedule.factor(999 * step, 26, step) == pytest.approx(1.0)
    assert training.schedule.factor(499 * step, 26, step) == pytest.approx(0.5)
    assert (detector.sides, detector.longest_side) == ((640, 672, 704, 736, 768, 800), 1333)
    plan = plan_of(config)
    assert [one.stride for one in plan.maps] == [4, 8, 16, 32]
    assert (plan.config.fpn_channels, plan.config.box_features, plan.config.crop) == (256, 1024, 7)
    proposals, boxes = plan.config.proposals, plan.config.boxes
    assert (proposals.kept_train, proposals.kept, proposals.batch) == (2000, 1000, 256)
    assert (boxes.batch, boxes.score_threshold, boxes.nms, boxes.detections) == (512, 0.05, 0.5, 100)


def test_random_weights_are_never_frozen():
    for recipe in DETECT_RECIPES:
        from_random = detect_config(recipe, WORDS).detector
        assert from_random.frozen_stride == 0 and from_random.norm != "frozen", recipe
    assert config_of("coco").detector.frozen_stride == 4
    assert config_of("coco_paper").detector.norm == "frozen"


def test_coco_paper_has_the_numbers_of_tensorflows_configuration():
    config = config_of("coco_paper")
    training, plan = config.training, plan_of(config)
    detector = plan.config
    assert (detector.head, detector.sides, detector.stretch) == ("cells", (1200,), True)
    assert [(one.stride, one.channels) for one in plan.maps] == [(16, 2016), (16, 2016)]
    assert (detector.crop, detector.rpn_channels) == (17, 512)
    assert (detector.anchor_sizes, detector.aspect_ratios) == (((64, 128, 256, 512),), (0.5, 1.0, 2.0))
    assert (detector.proposals.kept, detector.boxes.batch, detector.proposals.nms) == (50, 49, 0.7)
    assert (detector.boxes.score_threshold, detector.boxes.nms, detector.boxes.detections) == (0.0, 0.6, 100)
    assert (training.optimizer.rate(1), training.optimizer.momentum) == (3e-4, 0.9)
    assert (training.optimizer.weight_decay, training.gradient_clip) == (0.0, 10.0)
    for pictures, factor in ((899_999, 1.0), (900_001, 0.1), (1_200_001, 0.01)):
        assert training.schedule.factor(pictures / COCO_IMAGES, training.epochs) == pytest.approx(factor)
    assert config.data.flip


def test_coco_mobile_is_planned_for_a_mobile_network():
    plan = plan_of(config_of("coco_mobile"))
    assert [one.stride for one in plan.maps] == [8, 16, 32]
    assert (plan.config.fpn_channels, plan.config.box_features) == (128, 512)
    assert (plan.config.sides[0], plan.config.sides[-1]) == (320, 600)
    assert plan.network.config.filters == NETWORKS["nasnet_a_mobile"].config.filters


def test_small_is_for_random_weights():
    config = config_of("small")
    assert (config.detector.norm, config.detector.norm_momentum, config.detector.sides) == (
        "trained",
        0.1,
        (192,),
    )
    assert (config.training.optimizer.name, config.training.optimizer.learning_rate) == ("adamw", 2e-3)
    assert config.training.precision == "float32"
    assert config.network.stem == "imagenet"
