"""The same weights give the same logits in timm's networks and in ours, and go both ways."""

from __future__ import annotations

import pytest
import torch

from raynas.errors import WeightsError
from raynas.models.networks import build
from raynas.models.timm_names import to_timm
from raynas.nn import Network
from tests.models.large_networks import OURS, images, needs_timm, timm_logits, timm_network

pytestmark = [needs_timm, pytest.mark.slow]


def ours(timm_name: str, padding: str = "timm") -> Network:
    state = timm_network(timm_name).state_dict()
    network = build(OURS[timm_name], weights=state, conventions={"padding": padding})
    assert isinstance(network, Network)
    return network.eval()


@torch.no_grad()
def difference(timm_name: str, padding: str) -> float:
    """Of the logits at 331 pixels, relative to the largest one."""
    expected_NK = timm_logits(timm_name)
    given_NK = ours(timm_name, padding)(images())
    return float((given_NK - expected_NK).abs().max() / expected_NK.abs().max())


def test_nasnet_a_large_gives_timms_logits_with_timms_average_pools():
    assert difference("nasnetalarge", "timm") < 1e-4


def test_nasnet_a_large_differs_a_little_with_tensorflows_average_pools():
    # Only the windows at the border of stride-2 average pools.
    assert 1e-5 < difference("nasnetalarge", "same") < 1e-2


@pytest.mark.parametrize("padding", ["timm", "same"])
def test_pnasnet5_large_gives_timms_logits_exactly(padding):
    # It has no average pool.
    assert difference("pnasnet5large", padding) == 0.0


@pytest.mark.parametrize("timm_name", OURS)
def test_weights_come_back_as_they_were(timm_name):
    expected, given = timm_network(timm_name).state_dict(), to_timm(ours(timm_name))
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[key], expected[key]) for key in expected)


@torch.no_grad()
def test_last_feature_map_is_timms_and_the_others_have_its_channels_and_strides():
    timm_last = timm_network("pnasnet5large").forward_features(images(95))
    extractor = build(
        "pnasnet5_large", weights=timm_network("pnasnet5large").state_dict(), features_only=True
    ).eval()
    maps = extractor(images(95))
    assert torch.equal(maps[-1], timm_last)
    info = [(feature.channels, feature.stride) for feature in extractor.feature_info]
    assert info == [(i["num_chs"], i["reduction"]) for i in timm_network("pnasnet5large").feature_info]
    assert [tuple(x.shape[1:2]) for x in maps] == [(channels,) for channels, _ in info]


def test_timms_weights_do_not_fit_a_smaller_network():
    with pytest.raises(WeightsError, match="of another shape: stem"):
        build("nasnet_a_mobile", weights=timm_network("nasnetalarge").state_dict())


def test_timm_has_no_name_for_other_networks():
    network = build("nasnet_a_cifar", cells_per_stack=1, filters=4)
    with pytest.raises(WeightsError, match="timm has no name for"):
        to_timm(network)


def test_another_number_of_classes_starts_the_classifier_afresh():
    state = timm_network("pnasnet5large").state_dict()
    network = build("pnasnet5_large", weights=state, num_classes=7)
    assert network.classifier.weight.shape == (7, 4320)
    assert torch.equal(network.stem[0][0].weight, state["conv_0.conv.weight"])
