"""A network's features under torchvision's FasterRCNN: shapes, gradients, weights, precision."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from raynas.detection.config import DetectorConfig
from raynas.detection.detector import build_detector
from raynas.errors import InvalidConfig, WeightsError
from raynas.models.networks import NETWORKS
from raynas.models.preprocess import Preprocessing
from raynas.models.torchvision_import import load_torchvision
from tests.detection.small_detectors import (
    COLOUR,
    FORMS,
    GREY,
    SMALL,
    SMALL_CELLS,
    pictures,
    small_detector,
    small_spec,
    target,
)

BOXES = target((10.0, 10.0, 60.0, 70.0), (30.0, 5.0, 90.0, 40.0))
TARGETS = {
    "with boxes": [BOXES, target((5.0, 5.0, 30.0, 60.0), label=3)],
    "one picture without": [BOXES, target()],
    "no boxes at all": [target(), target()],
}


@pytest.fixture(params=FORMS, ids=str)
def config(request) -> DetectorConfig:
    return FORMS[request.param]


def trained_step(detector: nn.Module, targets: list[dict[str, Tensor]], **fields: int) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = detector.train()(pictures((96, 120), (100, 90), **fields), targets)
    sum(losses.values()).backward()
    return losses


def without_gradient(detector: nn.Module) -> list[str]:
    return [name for name, parameter in detector.named_parameters() if parameter.grad is None]


def test_it_is_torchvisions_own_class(config):
    assert type(small_detector(config)) is load_torchvision().models.detection.FasterRCNN


def test_the_pyramid_has_one_map_for_each_stride_and_a_pooled_one():
    detector = small_detector()
    maps = detector.backbone(torch.zeros(2, 3, 96, 160))
    assert {name: tuple(one.shape) for name, one in maps.items()} == {
        "0": (2, 16, 12, 20),
        "1": (2, 16, 6, 10),
        "2": (2, 16, 3, 5),
        "pool": (2, 16, 2, 3),
    }


def test_a_stride_of_four_can_be_added():
    config = SMALL.model_copy(
        update={"maps": (4, 8, 16, 32), "anchor_sizes": ((8,), (16,), (32,), (64,), (128,))}
    )
    maps = small_detector(config).backbone(torch.zeros(1, 3, 64, 64))
    assert [tuple(one.shape[2:]) for one in maps.values()] == [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]


def test_the_papers_form_has_one_map_of_the_last_two_cells_before_the_last_reduction():
    detector = small_detector(SMALL_CELLS)
    map_NCHW = detector.backbone(torch.zeros(2, 3, 96, 160))
    # States of 2 F filters each: 4 of a Reduction cell and 6 of the only Normal cell.
    assert tuple(map_NCHW.shape) == (2, (4 + 6) * 16, 6, 10)
    assert detector.roi_heads.box_head(torch.zeros(4, 160, 5, 5)).shape == (4, 6 * 32)


@torch.no_grad()
def test_the_papers_head_on_the_whole_map_gives_the_networks_own_features():
    spec = small_spec(cells_per_stack=2, skip_reduction_input=True)
    network = spec.build().eval()
    detector = build_detector(
        spec, SMALL_CELLS, num_classes=3, preprocessing=COLOUR, weights=network.state_dict()
    ).eval()
    images_NCHW = torch.randn(2, 3, 96, 128)
    features = detector.roi_heads.box_head(detector.backbone(images_NCHW))
    assert torch.equal(features, network.forward_head(network.forward_features(images_NCHW), pre_logits=True))


@pytest.mark.parametrize("case", TARGETS)
def test_every_parameter_gets_a_gradient(config, case):
    detector = small_detector(config)
    losses = trained_step(detector, TARGETS[case])
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    assert all(loss.isfinite() for loss in losses.values())
    assert without_gradient(detector) == []


@pytest.mark.parametrize("genotype_cells", [1, 2])
def test_an_auxiliary_head_is_left_out_with_its_weights(config, genotype_cells):
    spec = small_spec(auxiliary_head=True, cells_per_stack=genotype_cells)
    weights = spec.build().state_dict()
    assert any(name.startswith("auxiliary.") for name in weights)
    detector = build_detector(
        spec, config, num_classes=3, preprocessing=COLOUR, weights=weights, norm="trained"
    )
    assert not any("auxiliary" in name or "classifier" in name for name in detector.state_dict())
    trained_step(detector, TARGETS["with boxes"])
    assert without_gradient(detector) == []


def test_weights_of_a_classifier_are_the_backbones(config):
    spec = small_spec()
    weights = spec.build().state_dict()
    detector = build_detector(spec, config, num_classes=3, preprocessing=COLOUR, weights=weights)
    first = {
        name.removeprefix("backbone.body."): value
        for name, value in detector.state_dict().items()
        if name.startswith("backbone.body.")
    }
    assert all(torch.equal(value, weights[name]) for name, value in first.items())
    rest = [value for name, value in detector.state_dict().items() if "box_head.body" in name]
    assert len(first) + len(rest) == sum(not name.startswith("classifier") for name in weights)


def test_weights_for_colour_serve_a_network_for_grey_pictures():
    weights = small_spec().build().state_dict()
    detector = build_detector(
        small_spec(in_channels=1), SMALL, num_classes=3, preprocessing=GREY, weights=weights
    )
    first = detector.backbone.body.stem[0][0].weight
    assert torch.equal(first, weights["stem.0.0.weight"].sum(dim=1, keepdim=True))


def test_weights_of_another_network_are_refused():
    weights = small_spec(filters=12).build().state_dict()
    with pytest.raises(WeightsError, match="don't fit this network"):
        build_detector(small_spec(), SMALL, num_classes=3, preprocessing=COLOUR, weights=weights)


def test_names_in_the_state_dict_do_not_depend_on_the_norm(config):
    names = {norm: list(small_detector(config, norm=norm).state_dict()) for norm in ("frozen", "trained")}
    assert names["frozen"] == names["trained"]
    assert len({id(value) for value in small_detector(config).state_dict().values()}) == len(names["frozen"])


def test_grey_pictures_go_through_a_network_of_one_channel(config):
    detector = small_detector(config, in_channels=1)
    trained_step(detector, TARGETS["with boxes"], channels=1)
    assert without_gradient(detector) == []
    detections = detector.eval()(pictures((50, 70), channels=1))
    assert set(detections[0]) == {"boxes", "labels", "scores"}


def test_pictures_are_normalised_as_the_network_was_trained():
    preprocessing = Preprocessing(64, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    detector = build_detector(small_spec(), SMALL, num_classes=3, preprocessing=preprocessing)
    (given,) = detector.transform.eval()([torch.full((3, 96, 96), 0.5)])[0].tensors
    assert torch.allclose(given[:, 0, 0], torch.tensor([0.4 / 0.5, 0.3 / 0.6, 0.2 / 0.7]))


@pytest.mark.parametrize(("channels", "preprocessing"), [(1, COLOUR), (3, GREY)])
def test_a_normalisation_for_other_channels_is_refused(channels, preprocessing):
    with pytest.raises(InvalidConfig, match="of each"):
        build_detector(small_spec(in_channels=channels), SMALL, num_classes=3, preprocessing=preprocessing)


def test_pictures_are_stretched_to_squares_if_asked():
    config = SMALL.model_copy(update={"stretch": True})
    images, _ = small_detector(config).transform.eval()(pictures((50, 70), (70, 30)))
    assert images.image_sizes == [(96, 96), (96, 96)]


def test_strides_are_right_however_small_the_first_pictures_are():
    detector = small_detector(SMALL.model_copy(update={"sides": (33,), "longest_side": 33})).eval()
    detector(pictures((33, 33)))
    assert detector.roi_heads.box_roi_pool.scales == [1 / 8, 1 / 16, 1 / 32]


def test_frozen_stages_keep_weights_and_statistics(config):
    config = config.model_copy(update={"frozen_stride": 4})
    detector = small_detector(config)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    trained_step(detector, TARGETS["with boxes"])
    body = detector.backbone.body
    # The stem's convolution has stride 2, its first Reduction cell 4.
    kept = [*body.stem.parameters(), *body.cells[0].parameters()]
    assert all(not parameter.requires_grad for parameter in kept)
    assert all(parameter.requires_grad for parameter in body.cells[1].parameters())
    moved = {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert not any(name.startswith(("backbone.body.stem.", "backbone.body.cells.0.")) for name in moved)


def test_boxes_are_not_rounded_under_autocast(config):
    detector = small_detector(config).eval()
    detector.roi_heads.score_thresh = 0.0
    seen: list[torch.dtype] = []
    detector.rpn.head.conv.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    detector.roi_heads.box_roi_pool.register_forward_hook(
        lambda *call: seen.extend(boxes.dtype for boxes in call[1][1])
    )
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        (detections,) = detector(pictures((90, 130)))
    # The convolutions are computed in bfloat16, proposals and boxes are not.
    assert set(seen[:-1]) == {torch.bfloat16} and seen[-1] == torch.float32
    assert detections["boxes"].dtype == detections["scores"].dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasnet_a_mobile", "pnasnet5_mobile", "darts_v2_imagenet"])
@pytest.mark.parametrize("head", ["fpn", "cells"])
def test_published_networks_take_a_training_step(name, head):
    published = NETWORKS[name]
    config = DetectorConfig(head=head, sides=(128,), longest_side=160, boxes={"batch": 8})
    detector = build_detector(
        published.spec, config, num_classes=80, preprocessing=published.preprocessing, norm="trained"
    )
    trained_step(detector, TARGETS["with boxes"])
    optimizer = torch.optim.SGD(detector.parameters(), lr=1e-6)
    optimizer.step()
    assert without_gradient(detector) == []
    assert all(parameter.isfinite().all() for parameter in detector.parameters())
