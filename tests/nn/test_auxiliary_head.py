"""The second classifier: where it stands, what it is made of, when it works."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import pytest
import torch
from torch import nn

from raynas.nn import Network, NetworkConfig
from search_spaces.nasnet import NASNET_A
from search_spaces.pnasnet import PNASNET5
from tests.nn.small_networks import (
    TINY,
    assert_finite_gradients,
    meta_images,
    meta_network,
    num_parameters,
    outputs_of,
    small_network,
)

CIFAR = NetworkConfig(cells_per_stack=6, filters=32, auxiliary_head=True)


def convolutions(network: Network) -> list[nn.Conv2d]:
    return [layer for layer in network.auxiliary.features if isinstance(layer, nn.Conv2d)]


def auxiliary_cell(network: Network) -> nn.Module:
    return network.cells[network.auxiliary_output - len(network.stem)]


@pytest.mark.parametrize(
    ("num_reductions", "cells_per_stack", "index"), [(2, 6, 12), (2, 1, 2), (1, 2, 1), (3, 2, 7), (0, 3, 2)]
)
@pytest.mark.parametrize(("stem", "before"), [("small_image", 0), ("imagenet", 2), ("darts_imagenet", 0)])
def test_it_follows_the_last_cell_before_the_last_reduction(
    num_reductions, cells_per_stack, index, stem, before
):
    fields = {"cells_per_stack": cells_per_stack, "num_reductions": num_reductions, "stem": stem}
    config = NetworkConfig(filters=4, auxiliary_head=True, **fields)
    network = meta_network(TINY, config, image_size=64)
    assert auxiliary_cell(network) is network.cells[before + index]
    of_darts = meta_network(TINY, config.model_copy(update={"auxiliary_kind": "darts"}), image_size=64)
    # DARTS's stands after that reduction.
    assert auxiliary_cell(of_darts) is of_darts.cells[before + index + (num_reductions > 0)]


def test_nasnet_as_takes_384_maps_of_16_pixels_at_two_thirds():
    network = meta_network(NASNET_A, CIFAR)
    strides = [cell.plan.shape.stride for cell in network.cells[: network.auxiliary_output]]
    assert strides.count(1) / 18 == pytest.approx(2 / 3)
    assert outputs_of([auxiliary_cell(network)], network, meta_images()) == [(384, 16, 16)]
    assert network.auxiliary is not None and num_parameters(network.auxiliary) == 1_631_498


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "image_size", "map_size", "kernel"),
    [
        ({"cells_per_stack": 6, "filters": 32}, 32, 16, 4),
        ({"cells_per_stack": 4, "filters": 44, "stem": "imagenet"}, 224, 14, 4),
        ({"cells_per_stack": 6, "filters": 168, "stem": "imagenet"}, 331, 21, 6),
    ],
)
def test_second_convolution_covers_the_map_that_a_5x5_pool_of_stride_3_leaves(
    fields, image_size, map_size, kernel
):
    network = meta_network(NASNET_A, NetworkConfig(**fields, auxiliary_head=True), image_size=image_size)
    ((_, height, width),) = outputs_of([auxiliary_cell(network)], network, meta_images(image_size))
    assert (height, width) == (map_size, map_size)
    pool = network.auxiliary.features[1]
    assert (pool.kernel_size, pool.stride, pool.padding) == (5, 3, 0)
    first, second = convolutions(network)
    assert (first.kernel_size, first.out_channels) == ((1, 1), 128)
    assert (second.kernel_size, second.out_channels) == ((kernel, kernel), 768)


@pytest.mark.parametrize(
    ("kind", "stem", "image_size", "pool_stride", "num_norms"),
    [("darts", "small_image", 32, 3, 2), ("darts_imagenet", "darts_imagenet", 224, 2, 1)],
)
def test_those_of_darts_end_in_a_2x2_convolution(kind, stem, image_size, pool_stride, num_norms):
    # On 8 and on 7 pixels, after both reductions.
    config = CIFAR.model_copy(update={"auxiliary_kind": kind, "stem": stem})
    network = meta_network(PNASNET5, config, image_size=image_size)
    assert network.auxiliary.features[1].stride == pool_stride
    assert convolutions(network)[1].kernel_size == (2, 2)
    norms = [layer for layer in network.auxiliary.features if isinstance(layer, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [128, 768][:num_norms]
    _, auxiliary_NK = network.train()(meta_images(image_size))
    assert auxiliary_NK.shape == (2, 10)


def test_it_works_in_training_alone():
    network = small_network(auxiliary_head=True)
    images_NCHW = torch.randn(4, 1, 8, 8)
    logits_NK, auxiliary_NK = network.train()(images_NCHW)
    assert logits_NK.shape == auxiliary_NK.shape == (4, 5)
    assert network.eval()(images_NCHW).shape == (4, 5)


@pytest.mark.parametrize("kind", ["nasnet", "darts", "darts_imagenet"])
def test_every_parameter_has_a_finite_gradient(kind):
    network = small_network(NASNET_A, auxiliary_head=True, auxiliary_kind=kind).train()
    logits_NK, auxiliary_NK = network(torch.randn(4, 1, 8, 8))
    (logits_NK + 0.4 * auxiliary_NK).square().sum().backward()
    assert_finite_gradients(network)


def test_it_does_not_change_the_logits():
    images_NCHW = torch.randn(4, 1, 8, 8)
    plain, headed = small_network(NASNET_A), small_network(NASNET_A, auxiliary_head=True)
    plain.load_state_dict(headed.state_dict(), strict=False)
    assert torch.equal(plain.train()(images_NCHW), headed.train()(images_NCHW)[0])


@pytest.mark.parametrize("kind", ["nasnet", "darts", "darts_imagenet"])
@pytest.mark.parametrize("num_reductions", [0, 1, 2])
def test_it_sees_the_relu_of_its_cell(kind, num_reductions):
    network = small_network(
        NASNET_A, auxiliary_head=True, auxiliary_kind=kind, num_reductions=num_reductions
    ).train()
    seen: dict[str, torch.Tensor] = {}
    auxiliary_cell(network).register_forward_hook(lambda *call: seen.update(cell=call[2].detach()))
    network.auxiliary.features[0].register_forward_hook(lambda *call: seen.update(head=call[2].detach()))
    network(torch.randn(4, 1, 8, 8))
    assert torch.equal(seen["head"], seen["cell"].clamp(min=0))


@pytest.mark.parametrize("kind", ["nasnet", "darts", "darts_imagenet"])
@pytest.mark.parametrize("image_size", [8, 9, 17, 33])
@pytest.mark.parametrize("num_reductions", [0, 1, 2, 3])
def test_it_fits_any_image_size(kind, image_size, num_reductions):
    config = NetworkConfig(
        cells_per_stack=1,
        filters=4,
        num_reductions=num_reductions,
        auxiliary_head=True,
        auxiliary_kind=kind,
    )
    _, auxiliary_NK = meta_network(TINY, config, image_size=image_size).train()(meta_images(image_size))
    assert auxiliary_NK.shape == (2, 10)


@pytest.mark.parametrize("sides", [(16, 16), (8, 16), (6, 6)])
def test_it_takes_images_of_another_size_than_it_was_built_for(sides):
    network = small_network(auxiliary_head=True)
    logits_NK, auxiliary_NK = network(torch.randn(4, 1, *sides))
    assert logits_NK.shape == auxiliary_NK.shape


def test_network_without_it_takes_images_of_any_size():
    assert small_network().train()(torch.randn(4, 1, 11, 14)).shape == (4, 5)
