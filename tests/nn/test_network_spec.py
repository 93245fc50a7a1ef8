"""A network as one value: what it builds is what it counts."""

from __future__ import annotations

import pytest
import torch

from raynas.errors import InvalidConfig
from raynas.nn import NetworkConfig, NetworkSpec
from tests.nn.counted import built_complexity
from tests.nn.small_networks import TINY

SPEC = NetworkSpec(
    TINY, NetworkConfig(cells_per_stack=1, filters=4), in_channels=1, num_classes=3, image_size=8
)


def test_the_network_that_is_built_is_the_one_that_is_counted():
    image = {"in_channels": 1, "num_classes": 3, "image_size": 8}
    assert SPEC.complexity() == built_complexity(SPEC.genotype, SPEC.config, **image)
    network = SPEC.build().eval()
    assert (network.genotype, network.config, network.image_size) == (SPEC.genotype, SPEC.config, 8)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("method", ["build", "complexity"])
def test_images_that_are_too_small_are_refused(method):
    small = NetworkSpec(TINY, SPEC.config, in_channels=1, num_classes=3, image_size=2)
    with pytest.raises(InvalidConfig, match="too small"):
        getattr(small, method)()
