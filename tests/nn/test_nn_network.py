"""How cells are stacked to a classifier."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from raynas.genotype import Block, CellGenotype, Genotype
from raynas.nn import Network, NetworkConfig
from raynas.nn.network import cell_shapes
from raynas.nn.ops import FactorizedReduction
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import TINY, meta_network, outputs_of, searched_genotypes

PUBLISHED = NetworkConfig(cells_per_stack=6, filters=32)


def small(genotype: Genotype = TINY, *, image_size: int = 8, **fields: object) -> Network:
    config = NetworkConfig(**{"cells_per_stack": 1, "filters": 4, "num_reductions": 1, **fields})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(genotype, config, in_channels=1, num_classes=5, image_size=image_size)


def meta_images(size: int = 32) -> torch.Tensor:
    return torch.empty(2, 3, size, size, device="meta")


def test_endpoints_of_nasnet_a_on_cifar_are_the_published_ones():
    network = meta_network(NASNET_A, PUBLISHED)
    shapes = outputs_of([network.stem, *network.cells], network, meta_images())
    assert shapes == [
        (96, 32, 32),
        *[(192, 32, 32)] * 6,
        (256, 16, 16),
        *[(384, 16, 16)] * 6,
        (512, 8, 8),
        *[(768, 8, 8)] * 6,
    ]


def test_stem_is_a_convolution_and_a_norm_without_relu():
    stem = meta_network(NASNET_A, PUBLISHED).stem
    assert [type(layer) for layer in stem] == [nn.Conv2d, nn.BatchNorm2d]
    assert (stem[0].out_channels, stem[0].kernel_size, stem[0].stride) == (96, (3, 3), (1, 1))


def test_cell_takes_the_two_outputs_before_it():
    network = small(cells_per_stack=2, num_reductions=2)
    taken, given_out = [], []
    for cell in network.cells:
        cell.register_forward_hook(lambda *call: taken.append(call[1]))
        cell.register_forward_hook(lambda *call: given_out.append(call[2]))
    images_NCHW = torch.randn(2, 1, 8, 8)
    network.eval()(images_NCHW)
    stem = network.stem(images_NCHW)
    outputs = [stem, stem, *given_out]
    for index, (current, previous) in enumerate(taken):
        assert torch.equal(current, outputs[index + 1])
        assert torch.equal(previous, outputs[index])


def test_first_cell_after_a_reduction_takes_the_larger_output_before_it():
    network = meta_network(NASNET_A, PUBLISHED)
    sizes = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _, inputs, output: sizes.append([x.shape[-1] for x in inputs]))
    network(meta_images())
    is_larger = [isinstance(cell.match_previous, nn.Sequential) for cell in network.cells]
    assert [index for index, (now, before) in enumerate(sizes) if before == 2 * now] == [7, 14]
    assert is_larger[7] and is_larger[14]
    assert [
        index
        for index, cell in enumerate(network.cells)
        if any(isinstance(module, FactorizedReduction) for module in cell.match_previous.modules())
    ] == [7, 14]


@pytest.mark.parametrize("num_reductions", [0, 1, 2, 3])
def test_filters_double_at_each_reduction(num_reductions):
    config = NetworkConfig(cells_per_stack=1, filters=3, num_reductions=num_reductions)
    shapes = cell_shapes(TINY, config)
    assert [shape.stride for shape in shapes] == [1, *[2, 1] * num_reductions]
    stacks = [3 * 2**number for number in range(num_reductions + 1)]
    assert [shape.filters for shape in shapes] == [3, *(f for f in stacks[1:] for _ in range(2))]


@pytest.mark.parametrize(
    ("num_reductions", "cells_per_stack", "index"), [(2, 6, 12), (2, 1, 2), (1, 2, 1), (3, 2, 7), (0, 3, 2)]
)
def test_auxiliary_head_follows_the_last_cell_before_the_last_reduction(
    num_reductions, cells_per_stack, index
):
    config = NetworkConfig(
        cells_per_stack=cells_per_stack, filters=4, num_reductions=num_reductions, auxiliary_head=True
    )
    assert meta_network(TINY, config).auxiliary_index == index


def test_auxiliary_head_of_nasnet_a_takes_384_maps_of_16_pixels_at_two_thirds():
    network = meta_network(NASNET_A, PUBLISHED.model_copy(update={"auxiliary_head": True}))
    normal_before = sum(
        cell.genotype == NASNET_A.normal for cell in network.cells[: network.auxiliary_index + 1]
    )
    assert normal_before / 18 == pytest.approx(2 / 3)
    shapes = outputs_of([network.cells[network.auxiliary_index]], network, meta_images())
    assert shapes == [(384, 16, 16)]
    # 16 pixels, 5x5 pool at stride 3: a 4x4 map, which the second convolution covers whole.
    assert network.auxiliary.features[4].kernel_size == (4, 4)


def test_auxiliary_head_works_in_training_alone():
    network = small(auxiliary_head=True)
    images_NCHW = torch.randn(4, 1, 8, 8)
    logits_NK, auxiliary_NK = network.train()(images_NCHW)
    assert logits_NK.shape == auxiliary_NK.shape == (4, 5)
    assert network.eval()(images_NCHW).shape == (4, 5)


def test_auxiliary_head_sees_the_relu_of_its_cell():
    network = small(NASNET_A, auxiliary_head=True).train()
    seen: dict[str, torch.Tensor] = {}
    network.cells[network.auxiliary_index].register_forward_hook(
        lambda *call: seen.update(cell=call[2].detach())
    )
    network.auxiliary.register_forward_hook(lambda *call: seen.update(head=call[1][0].detach()))
    network(torch.randn(4, 1, 8, 8))
    assert torch.equal(seen["head"], seen["cell"].clamp(min=0))


@pytest.mark.parametrize("image_size", [4, 5, 8, 9, 17, 33])
@pytest.mark.parametrize("num_reductions", [0, 1, 2, 3])
def test_auxiliary_head_fits_any_image_size(image_size, num_reductions):
    config = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=num_reductions, auxiliary_head=True)
    _, auxiliary_NK = meta_network(TINY, config, image_size=image_size).train()(meta_images(image_size))
    assert auxiliary_NK.shape == (2, 10)


@settings(max_examples=8)
@given(
    genotype=searched_genotypes(max_blocks=3),
    image_size=st.integers(4, 11),
    num_reductions=st.integers(0, 3),
    cells_per_stack=st.integers(1, 2),
    filters=st.integers(2, 5),
)
def test_any_architecture_classifies_and_has_a_finite_gradient(genotype, image_size, **fields):
    network = small(genotype, image_size=image_size, **fields).train()
    logits_NK = network(torch.randn(3, 1, image_size, image_size))
    assert logits_NK.shape == (3, 5)
    nn.functional.cross_entropy(logits_NK, torch.tensor([0, 1, 2])).backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_cell_that_ignores_its_current_input_leaves_the_cell_before_it_without_gradient():
    ignores = CellGenotype((Block(1, "conv_3x3", 1, "identity"),), (2,))
    network = small(Genotype(ignores, ignores), num_reductions=0, cells_per_stack=2)
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    without = {
        name.split(".")[1]
        for name, value in network.cells.named_parameters(prefix="cells")
        if value.grad is None
    }
    assert without == {"0", "1"}
    assert all(value.grad is None for value in network.cells[0].parameters())


def test_dropout_stands_before_the_classifier():
    network = small(dropout=0.5)
    seen: list[torch.Tensor] = []
    network.classifier.register_forward_hook(lambda *call: seen.append(call[1][0]))
    network.train()(torch.rand(16, 1, 8, 8))
    network.eval()(torch.rand(16, 1, 8, 8))
    assert network.dropout.p == 0.5
    assert (seen[0] == 0).float().mean() > (seen[1] == 0).float().mean()


def test_initial_weights_have_the_reference_deviations():
    config = NetworkConfig(cells_per_stack=1, filters=64, num_reductions=1, stem_multiplier=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(NASNET_A, config, in_channels=3, num_classes=100, image_size=32)
    separable = network.cells[0].blocks[0].op_a
    expected = [
        (network.stem[0].weight, math.sqrt(2 / (9 * 192))),
        (separable[1].weight, math.sqrt(2 / 25)),
        (separable[2].weight, math.sqrt(2 / 64)),
        (network.classifier.weight, 0.01),
    ]
    for weight, deviation in expected:
        assert weight.std().item() == pytest.approx(deviation, rel=0.08)
        assert abs(weight.mean().item()) < 4 * deviation / math.sqrt(weight.numel())
    assert not network.classifier.bias.any()


def test_norms_start_as_ones_and_zeros_with_the_configs_constants():
    network = small(NASNET_A, norm_epsilon=0.25, norm_momentum=0.5, auxiliary_head=True)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.25, 0.5)}
    assert all(torch.all(norm.weight == 1) and not norm.bias.any() for norm in norms)


def test_stem_has_at_least_one_channel():
    config = NetworkConfig(filters=2, stem_multiplier=0.2, cells_per_stack=1, num_reductions=0)
    assert meta_network(TINY, config).stem[0].out_channels >= 1


@pytest.mark.parametrize(
    "field", [{"filters": 1}, {"cells_per_stack": 0}, {"num_reductions": -1}, {"drop_path": 1.0}]
)
def test_config_refuses_what_cannot_be_built(field):
    with pytest.raises(ValidationError):
        NetworkConfig(**field)
