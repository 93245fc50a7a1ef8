"""Batch norm in a detector: the rule that chooses, and what frozen and trained mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from raynas.detection.config import DetectorConfig
from raynas.detection.norm import FrozenBatchNorm2d, norm_rule, set_norm
from raynas.errors import InvalidConfig
from tests.detection.small_detectors import FORMS, pictures, small_detector, target

TARGETS = [target((10.0, 10.0, 60.0, 70.0)), target()]


def rule(norm: str = "auto", **fields: Any) -> str:
    situation = {"images_per_worker": 2, "num_workers": 8, "uses_gpus": True, "is_pretrained": True}
    return str(norm_rule(DetectorConfig(norm=norm), **{**situation, **fields}))


def test_the_rule_says_what_it_does_and_why():
    assert rule() == "frozen, as 2 pictures a worker are fewer than 8"
    assert rule(images_per_worker=1) == "frozen, as 1 picture a worker is fewer than 8"
    assert rule(images_per_worker=8) == "trained, as 8 pictures a worker are at least 8"
    assert rule(is_pretrained=False) == "trained, as the network starts from random weights"
    assert rule("frozen", images_per_worker=64) == "frozen, as detector.norm = frozen"
    assert rule("synchronised") == "synchronised, as detector.norm = synchronised"
    assert rule("synchronised", num_workers=1) == "trained, as one worker has all pictures"


def test_synchronised_norms_are_refused_without_gpus():
    with pytest.raises(InvalidConfig, match=r"detector\.norm = synchronised works only on GPUs"):
        rule("synchronised", uses_gpus=False)


def norms(detector: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("form", FORMS)
def test_frozen_norms_stay_as_they_are_in_training(form):
    detector = small_detector(FORMS[form], norm="frozen")
    before = [{name: value.clone() for name, value in norm.state_dict().items()} for norm in norms(detector)]
    detector.train()
    assert before and not any(norm.training for norm in norms(detector))
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.1)
    sum(detector(pictures((96, 120), (100, 90)), TARGETS).values()).backward()
    optimizer.step()
    for norm, old in zip(norms(detector), before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in norm.state_dict().items())
        assert not any(parameter.requires_grad for parameter in norm.parameters())
    assert not any(p.grad is None for p in detector.parameters() if p.requires_grad)


@pytest.mark.parametrize("form", FORMS)
def test_trained_norms_move_with_the_given_momentum(form):
    config = FORMS[form].model_copy(update={"norm_momentum": 0.25})
    detector = small_detector(config).train()
    assert {norm.momentum for norm in norms(detector)} == {0.25}
    detector(pictures((96, 120), (100, 90)), TARGETS)
    assert all(norm.num_batches_tracked == 1 for norm in norms(detector))


@torch.no_grad()
def test_a_frozen_norm_computes_what_the_norm_does_in_evaluation():
    norm = nn.BatchNorm2d(4, eps=1e-3)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        tensor.uniform_(0.5, 1.5)
    x_NCHW = torch.randn(2, 4, 3, 3)
    expected = norm.eval()(x_NCHW)
    frozen = set_norm(nn.Sequential(norm), "frozen", momentum=0.1).train()
    assert isinstance(frozen[0], FrozenBatchNorm2d)
    assert torch.equal(frozen(x_NCHW), expected)


def test_synchronised_norms_keep_names_and_numbers():
    plain = small_detector(norm="trained")
    synchronised = small_detector(norm="synchronised")
    given = [module for module in synchronised.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(given) == len(norms(plain))
    assert {norm.momentum for norm in given} == {0.1}
    expected = plain.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in synchronised.state_dict().items())
