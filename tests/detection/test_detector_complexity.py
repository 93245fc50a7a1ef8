"""What a detector costs by arithmetic is what the built one does."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from raynas.detection.complexity import detector_complexity
from raynas.detection.config import DetectorConfig
from raynas.detection.plan import plan_detector
from raynas.models.networks import NETWORKS
from tests.detection.small_detectors import FORMS, small_detector, small_spec

SIZE = (96, 150)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cells", [1, 2])
def test_parts_cost_what_the_built_ones_do(form, cells):
    plan = plan_detector(small_spec(cells_per_stack=cells), FORMS[form], num_classes=3)
    cost = detector_complexity(plan, SIZE)
    detector = small_detector(FORMS[form], cells_per_stack=cells).eval()
    assert cost.total.parameters == sum(parameter.numel() for parameter in detector.parameters())

    def mult_adds(module, *inputs):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            given = module(*inputs)
        return counter.get_total_flops() // 2, given

    counted, maps = mult_adds(detector.backbone, torch.zeros(1, 3, 96, 160))
    assert counted == cost.backbone.mult_adds + cost.pyramid.mult_adds
    maps = [maps] if form == "cells" else list(maps.values())
    assert mult_adds(detector.rpn.head, maps)[0] == cost.proposals.mult_adds
    crop, number = plan.config.crop, plan.config.proposals.kept
    second_stage = torch.nn.Sequential(detector.roi_heads.box_head, detector.roi_heads.box_predictor)
    assert crop is not None and number is not None
    crops = torch.zeros(number, maps[0].shape[1], crop, crop)
    assert mult_adds(second_stage, crops)[0] == cost.boxes.mult_adds


@pytest.mark.parametrize(
    ("name", "head", "millions", "backbone_giga"),
    [("nasnet_a_mobile", "fpn", 8.9, 12), ("nasnet_a_large", "cells", 105, None)],
)
def test_published_networks_cost_what_was_measured(name, head, millions, backbone_giga):
    plan = plan_detector(NETWORKS[name].spec, DetectorConfig(head=head), num_classes=80)
    cost = detector_complexity(plan, (800, 1333))
    assert cost.total.parameters / 1e6 == pytest.approx(millions, rel=0.02)
    if backbone_giga:
        assert cost.backbone.mult_adds / 1e9 == pytest.approx(backbone_giga, rel=0.05)


def test_half_the_proposals_are_half_the_second_stage():
    spec, config = small_spec(), FORMS["cells"]
    costs = []
    for kept in (100, 50):
        proposals = config.proposals.model_copy(update={"kept": kept})
        plan = plan_detector(spec, config.model_copy(update={"proposals": proposals}), num_classes=3)
        costs.append(detector_complexity(plan, SIZE))
    assert costs[0].boxes.mult_adds == 2 * costs[1].boxes.mult_adds
    assert costs[0].total.parameters == costs[1].total.parameters
