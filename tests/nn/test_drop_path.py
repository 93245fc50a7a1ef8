"""ScheduledDropPath: which examples it drops, and how often."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from itertools import chain

import pytest
import torch
from torch import nn

from raynas.nn import Network, NetworkConfig
from raynas.nn.drop_path import DropPath, set_drop_path_progress
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import TINY, meta_network


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def at_progress(probability: float, progress: float) -> DropPath:
    module = DropPath(probability).train()
    set_drop_path_progress(module, progress)
    return module


def test_nothing_is_dropped_in_evaluation():
    x_NCHW = torch.randn(8, 2, 3, 3)
    assert torch.equal(at_progress(0.9, 1.0).eval()(x_NCHW), x_NCHW)


def test_nothing_is_dropped_at_the_start():
    x_NCHW = torch.randn(8, 2, 3, 3)
    assert torch.equal(DropPath(0.9).train()(x_NCHW), x_NCHW)


def test_whole_examples_are_dropped_and_the_others_rescaled():
    x_NCHW = torch.randn(64, 2, 3, 3)
    out_NCHW = at_progress(0.5, 1.0)(x_NCHW)
    is_dropped_N = (out_NCHW == 0).flatten(1).all(dim=1)
    assert 0 < is_dropped_N.sum() < 64
    assert torch.equal(out_NCHW[~is_dropped_N], 2 * x_NCHW[~is_dropped_N])


@pytest.mark.parametrize(("probability", "progress"), [(0.4, 1.0), (0.8, 0.5), (0.4, 0.25)])
def test_share_of_dropped_examples_is_probability_times_progress(probability, progress):
    out_NCHW = at_progress(probability, progress)(torch.ones(20_000, 1, 1, 1))
    assert (out_NCHW == 0).float().mean().item() == pytest.approx(probability * progress, abs=0.015)
    assert out_NCHW.mean().item() == pytest.approx(1.0, abs=0.03)


def test_dropped_examples_have_no_gradient():
    x_NCHW = torch.ones(64, 1, 2, 2, requires_grad=True)
    out_NCHW = at_progress(0.5, 1.0)(x_NCHW)
    out_NCHW.sum().backward()
    assert torch.equal(x_NCHW.grad.eq(0), out_NCHW.eq(0))


def test_number_format_is_kept():
    assert at_progress(0.5, 1.0)(torch.ones(4, 1, 1, 1, dtype=torch.bfloat16)).dtype == torch.bfloat16


def probabilities(config: NetworkConfig, image_size: int = 32) -> list[float]:
    """The one of each cell's paths."""
    network = meta_network(NASNET_A, config, image_size=image_size)
    of_cells = [
        {module.probability for module in cell.modules() if isinstance(module, DropPath)}
        for cell in network.cells
    ]
    assert all(len(of_cell) == 1 for of_cell in of_cells)
    return [*chain(*of_cells)]


def test_probability_grows_with_depth_to_that_of_the_config():
    config = NetworkConfig(cells_per_stack=2, filters=4, drop_path=0.4)
    assert probabilities(config) == pytest.approx([0.4 * number / 8 for number in range(1, 9)])


def test_reductions_of_the_stem_count_in_the_depth():
    config = NetworkConfig(cells_per_stack=1, filters=4, drop_path=0.4, stem="imagenet")
    assert probabilities(config) == pytest.approx([0.4 * number / 7 for number in range(1, 8)])


def test_probability_can_be_that_of_the_config_in_every_cell():
    config = NetworkConfig(cells_per_stack=2, filters=4, drop_path=0.4, drop_path_by_depth=False)
    assert probabilities(config) == [0.4] * 8


def test_progress_reaches_every_path_of_a_network():
    network = meta_network(NASNET_A, NetworkConfig(cells_per_stack=1, filters=4, drop_path=0.4))
    set_drop_path_progress(network, 0.75)
    paths = [module for module in network.modules() if isinstance(module, DropPath)]
    num_dropped_per_cell = {"normal": 8, "reduction": 9}
    assert len(paths) == 3 * num_dropped_per_cell["normal"] + 2 * num_dropped_per_cell["reduction"]
    assert {module.progress for module in paths} == {0.75}


def test_drop_path_changes_training_and_leaves_evaluation_alone():
    config = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1, drop_path=0.9)
    network = Network(TINY, config, in_channels=1, num_classes=3, image_size=8)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    images_NCHW = torch.randn(16, 1, 8, 8)
    before = network.eval()(images_NCHW), network.train()(images_NCHW)
    set_drop_path_progress(network, 1.0)
    after = network.eval()(images_NCHW), network.train()(images_NCHW)
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])
