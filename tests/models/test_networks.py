"""Published networks by name."""

from __future__ import annotations

import pytest
import torch

import raynas
from raynas.models.networks import NETWORKS, build
from search_spaces.nasnet import NASNET_A

# Parameters and multiply-adds in millions as printed in the papers; see the source of each network.
PRINTED = {
    "nasnet_a_cifar": (3.3, None),
    "nasnet_a_mobile": (5.3, 564),
    "nasnet_a_large": (88.8, 23_800),
    "pnasnet5_mobile": (5.1, 588),
    "pnasnet5_large": (86.1, 25_000),
    "amoebanet_a_cifar": (3.2, None),
    "amoebanet_a_mobile": (5.1, 555),
    "amoebanet_a_large": (86.7, 23_100),
    "amoebanet_b_mobile": (5.3, 555),
    "amoebanet_c_mobile": (6.4, None),
    "darts_v2_cifar": (3.3, None),
    "darts_v2_imagenet": (4.7, None),
}


@pytest.mark.parametrize("name", PRINTED)
def test_size_is_the_papers(name):
    parameters, mult_adds = PRINTED[name]
    cost = NETWORKS[name].spec.complexity()
    assert cost.parameters / 1e6 == pytest.approx(parameters, abs=0.051)
    if mult_adds:
        assert cost.mult_adds / 1e6 == pytest.approx(mult_adds, rel=0.003)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_built_and_classifies(name):
    published = NETWORKS[name]
    with torch.device("meta"):
        network = build(name, auxiliary_head=True).train()
    assert sum(p.numel() for n, p in network.named_parameters() if not n.startswith("auxiliary.")) == (
        published.spec.complexity().parameters
    )
    images_NCHW = torch.empty(2, 3, published.image_size, published.image_size, device="meta")
    logits_NK, auxiliary_NK = network(images_NCHW)
    assert logits_NK.shape == auxiliary_NK.shape == (2, published.num_classes)
    assert network.eval()(images_NCHW).shape == (2, published.num_classes)


def test_a_genotype_of_ones_own_is_built_with_any_setting():
    network = raynas.build(NASNET_A, num_classes=3, in_channels=1, cells_per_stack=1, filters=4)
    assert network.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 3)
