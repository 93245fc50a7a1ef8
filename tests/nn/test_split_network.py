"""A network in two parts gives what it gives as a whole, bit for bit, wherever it is split."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raynas.models.networks import NETWORKS
from raynas.nn import NetworkSpec
from raynas.nn.split import split_network
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import genotypes, network_configs, num_parameters, smallest_image


@settings(max_examples=20)
@given(genotype=genotypes(max_blocks=2), config=network_configs(), data=st.data())
@torch.no_grad()
def test_two_parts_are_the_whole_network_bit_for_bit(genotype, config, data):
    size = smallest_image(config) + 3
    network = NetworkSpec(genotype, config, 3, 5, size).build().eval()
    images_NCHW = torch.randn(2, 3, size, size)
    first, last = split_network(network, data.draw(st.integers(0, len(network.cells))))
    assert torch.equal(last(first(images_NCHW)), network.forward_features(images_NCHW))


@pytest.mark.parametrize("name", ["nasnet_a_mobile", "nasnet_a_large", "pnasnet5_large"])
def test_the_parts_share_the_networks_parameters_out(name):
    with torch.device("meta"):
        network = NETWORKS[name].spec.build()
    network.reset_classifier(0)
    for num_cells in (0, 1, len(network.cells) - 1, len(network.cells)):
        parts = split_network(network, num_cells)
        assert sum(map(num_parameters, parts)) == num_parameters(network)
        assert not set(parts[0].parameters()) & set(parts[1].parameters())


@pytest.mark.parametrize("skips", [False, True])
def test_what_follows_the_last_reduction_takes_the_two_outputs_before_it(skips):
    config = NETWORKS["nasnet_a_mobile"].config.model_copy(
        update={"cells_per_stack": 2, "skip_reduction_input": skips}
    )
    with torch.device("meta"):
        network = NetworkSpec(NASNET_A, config, 3, 5, 64).build()
    # Two in the stem, two Normal cells, a reduction, two Normal cells, and then it.
    assert network.plan.last_reduction == 7
    first, last = split_network(network, 7)
    assert first.states == last.states
    assert [(state.channels, state.stride) for state in first.states] == [(528, 16), (528, 16)]
