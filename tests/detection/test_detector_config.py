"""A detector's settings: what is filled in for a network, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from raynas.config import validated
from raynas.detection.config import DetectorConfig
from raynas.detection.plan import plan_detector
from raynas.errors import InvalidConfig
from raynas.models.networks import NETWORKS
from tests.detection.small_detectors import small_spec


def settled(name: str, **fields: Any) -> DetectorConfig:
    return plan_detector(NETWORKS[name].spec, DetectorConfig(**fields), num_classes=80).config


def test_mobile_networks_get_three_maps_and_large_ones_four():
    mobile, large = settled("nasnet_a_mobile"), settled("nasnet_a_large")
    assert mobile.maps == (8, 16, 32) and (mobile.fpn_channels, mobile.box_features) == (128, 512)
    assert large.maps == (4, 8, 16, 32) and (large.fpn_channels, large.box_features) == (256, 1024)
    assert mobile.anchor_sizes == ((32,), (64,), (128,), (256,))
    assert large.anchor_sizes == ((32,), (64,), (128,), (256,), (512,))
    assert (large.proposals.kept_train, large.proposals.kept, large.boxes.batch) == (2000, 1000, 512)


def test_the_papers_form_gets_the_numbers_of_tensorflows_detection_api():
    config = settled("nasnet_a_large", head="cells")
    assert config.anchor_sizes == ((64, 128, 256, 512),)
    assert (config.crop, config.rpn_channels) == (17, 512)
    assert (config.proposals.kept_train, config.proposals.kept, config.boxes.batch) == (300, 300, 64)


def test_the_papers_map_has_the_printed_channels():
    plan = plan_detector(NETWORKS["nasnet_a_large"].spec, DetectorConfig(head="cells"), num_classes=80)
    assert [(one.channels, one.stride) for one in plan.maps] == [(2016, 16), (2016, 16)]
    pnasnet = plan_detector(NETWORKS["pnasnet5_large"].spec, DetectorConfig(head="cells"), num_classes=80)
    assert [(one.channels, one.stride) for one in pnasnet.maps] == [(2160, 16), (2160, 16)]


def test_given_settings_are_kept():
    config = settled(
        "nasnet_a_mobile",
        maps=(4, 8, 16, 32),
        fpn_channels=64,
        anchor_sizes=[[8], [16], [32], [64], [128]],
        proposals={"kept": 50},
        boxes={"batch": 49},
    )
    assert (config.fpn_channels, config.box_features) == (64, 1024)
    assert (config.proposals.kept_train, config.proposals.kept, config.boxes.batch) == (2000, 50, 49)


def test_a_filled_in_config_is_its_own():
    spec = NETWORKS["nasnet_a_mobile"].spec
    for head in ("fpn", "cells"):
        once = plan_detector(spec, DetectorConfig(head=head), num_classes=80).config
        read = DetectorConfig.model_validate_json(once.model_dump_json())
        assert read == once == plan_detector(spec, read, num_classes=80).config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": "ssd"}, r"detector\.head"),
        ({"maps": []}, r"maps = \[\]: each stride must be twice the one before"),
        ({"maps": [8, 32]}, "each stride must be twice"),
        ({"maps": [32, 16, 8]}, "each stride must be twice"),
        ({"anchor_sizes": []}, "anchor_sizes needs a list for each map"),
        ({"anchor_sizes": [[32], [64, 128]]}, "all of one length"),
        ({"anchor_sizes": [[0]]}, "greater than or equal to 1"),
        ({"aspect_ratios": []}, "aspect_ratios"),
        ({"aspect_ratios": [0]}, "greater than 0"),
        ({"sides": []}, "sides"),
        ({"sides": [800], "longest_side": 600}, "no picture would have them"),
        ({"sides": [8]}, "greater than or equal to 32"),
        ({"head": "cells", "maps": [8, 16, 32]}, "head = cells has no maps"),
        ({"head": "cells", "fpn_channels": 64}, "head = cells has no fpn_channels"),
        ({"rpn_channels": 64}, "head = fpn has no rpn_channels"),
        ({"boxes": {"score_threshold": 2}}, r"detector\.boxes\.score_threshold"),
        ({"proposals": {"nms": -0.1}}, r"detector\.proposals\.nms"),
        ({"norm": "batch"}, r"detector\.norm"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(InvalidConfig, match=message):
        validated(DetectorConfig, fields, where="detector")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"maps": (4, 8)}, "down to 32, because cells behind the last map would never be trained"),
        ({"maps": (16, 32, 64)}, "the network has maps of strides 2, 4, 8, 16, 32"),
        ({"maps": (64,)}, "the network has maps of strides"),
        (
            {"anchor_sizes": ((32,), (64,))},
            "has 2 lists, and the detector has 4 maps, of strides 8, 16, 32, 64",
        ),
    ],
)
def test_maps_and_anchors_that_the_network_does_not_have_are_refused(fields, message):
    with pytest.raises(InvalidConfig, match=message):
        plan_detector(small_spec(), DetectorConfig(**fields), num_classes=3)


@pytest.mark.parametrize("head", ["fpn", "cells"])
def test_a_network_for_small_images_is_refused_with_what_to_do(head):
    with pytest.raises(InvalidConfig, match=r"strides 1, 2, 4.* network\.stem=imagenet"):
        plan_detector(NETWORKS["nasnet_a_cifar"].spec, DetectorConfig(head=head), num_classes=3)


@pytest.mark.parametrize("head", ["fpn", "cells"])
def test_a_network_that_ends_at_a_stride_of_16_does(head):
    spec = small_spec(num_reductions=1)
    plan = plan_detector(spec, DetectorConfig(head=head), num_classes=3)
    assert plan.strides == ((8, 16, 32) if head == "fpn" else (8,))


def test_a_detector_of_no_classes_is_refused():
    with pytest.raises(InvalidConfig, match="num_classes = 0"):
        plan_detector(small_spec(), DetectorConfig(), num_classes=0)


def test_the_number_of_the_classifiers_classes_does_not_matter():
    spec = small_spec()
    plans = [plan_detector(replace(spec, num_classes=n), DetectorConfig(), num_classes=3) for n in (0, 1000)]
    assert plans[0].config == plans[1].config and plans[0].maps == plans[1].maps
