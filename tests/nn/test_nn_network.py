"""A network from stem to logits: stacks, head, initial weights, what its config refuses."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.errors import InvalidConfig
from raynas.nn import Conventions, Network, NetworkConfig
from raynas.nn.plan import plan_network
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import (
    TINY,
    assert_finite_gradients,
    genotypes,
    meta_images,
    meta_network,
    network_configs,
    searched_genotypes,
    small_network,
    smallest_image,
    torch_types,
)


@pytest.mark.parametrize("num_reductions", [0, 1, 2, 3])
def test_filters_double_at_each_reduction(num_reductions):
    config = NetworkConfig(cells_per_stack=1, filters=3, num_reductions=num_reductions)
    shapes = [cell.plan.shape for cell in plan_network(TINY, config, in_channels=3).cells]
    assert [shape.stride for shape in shapes] == [1, *[2, 1] * num_reductions]
    stacks = [3 * 2**number for number in range(num_reductions + 1)]
    assert [shape.filters for shape in shapes] == [3, *(f for f in stacks[1:] for _ in range(2))]


def test_each_stack_can_have_its_own_number_of_cells():
    config = NetworkConfig(cells_per_stack=[4, 1, 3], filters=2)
    cells = plan_network(TINY, config, in_channels=3).cells
    strides = "".join(str(cell.plan.shape.stride) for cell in cells)
    assert strides == "1111" + "2" + "1" + "2" + "111"


@settings(max_examples=15)
@given(
    genotype=searched_genotypes(max_blocks=3),
    config=network_configs(),
    extra_pixels=st.integers(0, 7),
)
def test_any_searched_architecture_gives_every_parameter_a_finite_gradient(genotype, config, extra_pixels):
    image_size = smallest_image(config) + extra_pixels
    network = small_network(genotype, image_size=image_size, **config.model_dump()).train()
    logits_NK = network(torch.randn(3, 1, image_size, image_size))
    assert logits_NK.shape == (3, 5)
    nn.functional.cross_entropy(logits_NK, torch.tensor([0, 1, 2])).backward()
    assert_finite_gradients(network)


@settings(max_examples=25)
@given(genotype=genotypes(), config=network_configs())
@torch.no_grad()
def test_any_architecture_classifies_a_single_smallest_image(genotype, config):
    image_size = smallest_image(config)
    network = small_network(genotype, image_size=image_size, **config.model_dump()).eval()
    assert network(torch.randn(1, 1, image_size, image_size)).isfinite().all()


@pytest.mark.parametrize("filters", [13, 27])
@pytest.mark.parametrize("stem", ["small_image", "imagenet", "darts_imagenet"])
def test_odd_filters_learn(filters, stem):
    network = small_network(NASNET_A, image_size=17, filters=filters, stem=stem).train()
    network(torch.randn(2, 1, 17, 17)).square().sum().backward()
    assert_finite_gradients(network)


def test_cell_that_ignores_its_current_input_leaves_the_cell_before_it_without_gradient():
    ignores = CellGenotype((Block(1, "conv_3x3", 1, "identity"),), (2,))
    network = small_network(Genotype(ignores, ignores), num_reductions=0, cells_per_stack=2)
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    assert all(value.grad is None for value in network.cells[0].parameters())
    assert_finite_gradients(network.cells[1])


@pytest.mark.parametrize(
    ("head", "types"), [("relu", [nn.ReLU]), ("norm_relu", [nn.BatchNorm2d, nn.ReLU]), ("plain", [])]
)
@torch.no_grad()
def test_head_pools_what_stands_after_the_last_cell(head, types):
    network = small_network(head=head).eval()
    outputs: list[torch.Tensor] = []
    network.cells[-1].register_forward_hook(lambda *call: outputs.append(call[2]))
    logits_NK = network(torch.randn(2, 1, 8, 8))
    assert torch_types(network.head.children()) == types
    norm = network.head[0] if head == "norm_relu" else nn.Identity()
    features_NCHW = norm(outputs[0])
    if head != "plain":
        features_NCHW = features_NCHW.clamp(min=0)
    torch.testing.assert_close(logits_NK, network.classifier(features_NCHW.mean(dim=(2, 3))))


def test_dropout_stands_before_the_classifier():
    network = small_network(dropout=0.5)
    seen: list[torch.Tensor] = []
    network.classifier.register_forward_hook(lambda *call: seen.append(call[1][0]))
    network.train()(torch.rand(16, 1, 8, 8))
    network.eval()(torch.rand(16, 1, 8, 8))
    assert network.dropout.p == 0.5
    assert (seen[0] == 0).float().mean() > (seen[1] == 0).float().mean()


def test_initial_weights_have_the_reference_deviations():
    config = NetworkConfig(cells_per_stack=1, filters=64, num_reductions=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(NASNET_A, config, in_channels=3, num_classes=100, image_size=32)
    separable = network.cells[0].blocks["0"].op_a
    expected = [
        (network.stem[0][0].weight, math.sqrt(2 / (9 * 192))),
        (separable[1].weight, math.sqrt(2 / 25)),
        (separable[2].weight, math.sqrt(2 / 64)),
        (network.classifier.weight, 0.01),
    ]
    for weight, deviation in expected:
        assert weight.std().item() == pytest.approx(deviation, rel=0.08)
        assert abs(weight.mean().item()) < 4 * deviation / math.sqrt(weight.numel())
    assert not network.classifier.bias.any()


@pytest.mark.parametrize("kind", ["nasnet", "darts", "darts_imagenet"])
def test_norms_start_as_ones_and_zeros_with_the_configs_constants(kind):
    network = small_network(
        NASNET_A,
        conventions=Conventions(norm_epsilon=0.25, norm_momentum=0.5),
        head="norm_relu",
        auxiliary_head=True,
        auxiliary_kind=kind,
    )
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.25, 0.5)}
    assert all(torch.all(norm.weight == 1) and not norm.bias.any() for norm in norms)


def test_epsilon_reaches_the_norms_of_the_combiners():
    cell = CellGenotype((Block(0, "identity", 1, "identity", "add_layer_norm"),), (2,))
    network = small_network(Genotype(cell, cell), conventions=Conventions(norm_epsilon=0.25))
    assert {module.eps for module in network.modules() if isinstance(module, nn.GroupNorm)} == {0.25}


@pytest.mark.parametrize("stem", ["small_image", "imagenet", "darts_imagenet"])
@pytest.mark.parametrize("num_reductions", [0, 2])
def test_image_must_be_as_large_as_the_total_stride(stem, num_reductions):
    config = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=num_reductions, stem=stem)
    smallest = smallest_image(config)
    assert meta_network(TINY, config, image_size=smallest)(meta_images(smallest)).shape == (2, 10)
    if smallest > 1:
        with pytest.raises(InvalidConfig, match=f"at least {smallest} pixels"):
            meta_network(TINY, config, image_size=smallest - 1)


@pytest.mark.parametrize("stem", ["imagenet", "darts_imagenet"])
def test_stem_of_large_images_needs_4_filters(stem):
    with pytest.raises(InvalidConfig, match=r"network\.filters = 3 .* Give at least 4"):
        meta_network(TINY, NetworkConfig(filters=3, stem=stem), image_size=64)


@pytest.mark.parametrize(
    "field",
    [
        {"filters": 1},
        {"cells_per_stack": 0},
        {"cells_per_stack": (1, 0, 1)},
        {"cells_per_stack": ()},
        {"num_reductions": -1},
        {"stem_filters": 0},
        {"stem_multiplier": 3.0},
        {"drop_path": 1.0},
        {"dropout": 1.0},
        {"head": "softmax"},
        {"conventions": {"norm_epsilon": 0.0}},
        {"conventions": {"norm_momentum": 1.5}},
    ],
)
def test_config_refuses_what_cannot_be_built(field):
    with pytest.raises(ValidationError):
        NetworkConfig(**field)


def test_config_refuses_a_list_that_does_not_fit_the_reductions():
    with pytest.raises(ValidationError, match="has 2 numbers; there are 3 stacks with num_reductions = 2"):
        NetworkConfig(cells_per_stack=(4, 3))
