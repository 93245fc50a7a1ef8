"""Which outputs each cell takes, and where the outputs start: the stems."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import pytest
import torch
from torch import nn

from raynas.cells.genotype import Genotype
from raynas.nn import Network, NetworkConfig
from raynas.nn.modules import FactorizedReduction2d
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import meta_images, meta_network, one_block, small_network, torch_types

USES_BOTH = Genotype(one_block("conv_1x1", "conv_1x1"), one_block("conv_3x3", "conv_3x3"))
PUBLISHED = NetworkConfig(cells_per_stack=6, filters=32)


def wiring(network: Network, images_NCHW: torch.Tensor) -> list[tuple[int, int]]:
    """For each cell the numbers of the outputs, the stem's first, that it takes as current and previous."""
    outputs: list[torch.Tensor] = []
    taken: list[tuple[int, int]] = []

    def number(x_NCHW: torch.Tensor) -> int:
        return next(index for index, output in enumerate(outputs) if output is x_NCHW)

    handles = [
        cell.register_forward_pre_hook(lambda _, states: taken.append((number(states[0]), number(states[1]))))
        for cell in network.cells
    ]
    handles += [
        part.register_forward_hook(lambda *call: outputs.append(call[2]))
        for part in [*network.stem, *network.cells]
    ]
    network(images_NCHW)
    for handle in handles:
        handle.remove()
    return taken


@pytest.mark.parametrize("skips", [False, True])
def test_first_cell_after_a_reduction_takes_the_output_that_the_config_names(skips):
    network = small_network(USES_BOTH, cells_per_stack=2, num_reductions=2, skip_reduction_input=skips)
    # Stem 0, Normal 1 2, Reduction 3, Normal 4 5, Reduction 6, Normal 7 8.
    usual = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (7, 6)]
    skipping = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 3), (5, 4), (6, 4), (7, 6)]
    assert wiring(network, torch.randn(2, 1, 8, 8)) == (skipping if skips else usual)


@pytest.mark.parametrize("skips", [False, True])
def test_stacks_of_one_cell_are_wired_alike(skips):
    network = small_network(USES_BOTH, num_reductions=2, skip_reduction_input=skips)
    # Stem 0, Normal 1, Reduction 2, Normal 3, Reduction 4, Normal 5.
    usual = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)]
    skipping = [(0, 0), (1, 0), (2, 0), (3, 2), (4, 2)]
    assert wiring(network, torch.randn(2, 1, 8, 8)) == (skipping if skips else usual)


@pytest.mark.parametrize("skips", [False, True])
def test_stem_of_large_images_has_two_reductions(skips):
    network = small_network(
        USES_BOTH, image_size=16, stem="imagenet", cells_per_stack=2, skip_reduction_input=skips
    )
    # Convolution 0, Reduction 1 2, Normal 3 4, Reduction 5, Normal 6 7: the stem's reductions do not skip.
    before_the_reduction = 3 if skips else 4
    assert wiring(network, torch.randn(2, 1, 16, 16)) == [
        (0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, before_the_reduction), (6, 5)
    ]  # fmt: skip
    shapes = [cell.plan.shape for cell in network.cells]
    assert [shape.stride for shape in shapes] == [2, 2, 1, 1, 2, 1, 1]
    assert [shape.filters for shape in shapes] == [1, 2, 4, 4, 8, 8, 8]


def test_stem_of_darts_for_large_images_gives_two_outputs():
    network = small_network(USES_BOTH, image_size=16, stem="darts_imagenet", cells_per_stack=2)
    # 0 and 1 are the stem's.
    expected = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert wiring(network, torch.randn(2, 1, 16, 16)) == expected


def test_cells_compute_with_what_they_take():
    network = small_network(USES_BOTH, cells_per_stack=2, num_reductions=2).eval()
    images_NCHW = torch.randn(2, 1, 8, 8)
    outputs = [network.stem[0](images_NCHW)]
    for cell, (current, previous) in zip(network.cells, wiring(network, images_NCHW), strict=True):
        outputs.append(cell(outputs[current], outputs[previous]))
    assert torch.equal(network(images_NCHW), network.forward_head(network.head(outputs[-1])))


@pytest.mark.parametrize("skips", [False, True])
def test_larger_previous_states_pass_a_factorised_reduction(skips):
    network = meta_network(NASNET_A, PUBLISHED.model_copy(update={"skip_reduction_input": skips}))
    sizes = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _, inputs, output: sizes.append([x.shape[-1] for x in inputs]))
    network(meta_images())
    assert [index for index, (now, before) in enumerate(sizes) if before == 2 * now] == [7, 14]
    assert [
        index
        for index, cell in enumerate(network.cells)
        if any(isinstance(module, FactorizedReduction2d) for module in cell.match["1"].modules())
    ] == [7, 14]


def test_stem_of_small_images_is_a_convolution_and_a_norm_without_relu():
    (stem,) = meta_network(NASNET_A, PUBLISHED).stem
    assert torch_types(stem.children()) == [nn.Conv2d, nn.BatchNorm2d]
    assert (stem[0].out_channels, stem[0].kernel_size, stem[0].stride) == (96, (3, 3), (1, 1))


def test_stem_of_large_images_is_an_unpadded_strided_convolution_and_a_norm_without_relu():
    config = NetworkConfig(stem="imagenet", cells_per_stack=4, filters=44)
    (stem,) = meta_network(NASNET_A, config, image_size=224).stem
    assert torch_types(stem.children()) == [nn.Conv2d, nn.BatchNorm2d]
    assert (stem[0].out_channels, stem[0].stride, stem[0].padding) == (32, (2, 2), (0, 0))


@pytest.mark.parametrize("image_size", [16, 17])
def test_stem_of_darts_for_large_images_is_three_strided_convolutions(image_size):
    config = NetworkConfig(stem="darts_imagenet", cells_per_stack=1, filters=48, num_reductions=1)
    larger, smaller = meta_network(NASNET_A, config, image_size=image_size).stem
    once = [nn.Conv2d, nn.BatchNorm2d]
    assert torch_types(larger.children()) == [*once, nn.ReLU, *once]
    assert torch_types(smaller.children()) == [nn.ReLU, *once]
    convolutions = [larger[0], larger[3], smaller[1]]
    assert [conv.out_channels for conv in convolutions] == [24, 48, 48]
    assert {(conv.kernel_size, conv.stride, conv.padding) for conv in convolutions} == {
        ((3, 3), (2, 2), (1, 1))
    }


@pytest.mark.parametrize(
    ("stem", "own", "channels"),
    [
        ("small_image", None, 3 * 6),
        ("small_image", 16, 16),
        ("imagenet", None, 32),
        ("imagenet", 96, 96),
        ("darts_imagenet", None, 3),
        ("darts_imagenet", 5, 5),
    ],
)
def test_stem_filters_are_those_of_the_first_convolution(stem, own, channels):
    config = NetworkConfig(cells_per_stack=1, filters=6, num_reductions=1, stem=stem, stem_filters=own)
    network = meta_network(USES_BOTH, config)
    assert network.stem[0][0].out_channels == channels
    assert network(meta_images()).shape == (2, 10)
