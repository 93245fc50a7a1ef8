"""Networks to export, as small as can be, that between them have every kind of layer."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.models.folder import LoadedModel, ModelInfo
from raynas.models.networks import build
from raynas.nn import Network
from search_spaces.nasbench201 import EXAMPLE, from_arch_string

MIXED = Genotype(
    normal=CellGenotype(
        (
            Block(0, "max_pool_2x2", 1, "avg_pool_3x3", "concat"),
            Block(2, "dil_conv_3x3", 1, "identity", "add_layer_norm"),
            Block(3, "conv_1x7_7x1", 0, "max_pool_7x7", "add_instance_norm"),
        ),
        concat=(2, 4),
    ),
    reduction=CellGenotype((Block(0, "avg_pool_3x3", 1, "bottleneck_3x3", "concat"),), concat=(0, 2)),
)
"""What the published cells don't have."""


def small_model(
    images_NCHW: Tensor, what: str | Genotype, *, is_grey: bool = False, **settings: Any
) -> LoadedModel:
    """Norms have seen the images, and logits are of order 1 to 10."""
    channels = 1 if is_grey else 3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(
            what, num_classes=10, in_channels=channels, cells_per_stack=1, filters=4, dropout=0.3, **settings
        )
        nn.init.normal_(network.classifier.weight, std=1.0)
        show(network, images_NCHW[:, :channels])
    info = ModelInfo.of(
        network,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        crop_fraction=0.875,
        interpolation="bicubic",
        classes=tuple(f"class {number}" for number in range(10)),
        training={
            "recipe": "cifar",
            "data": "CIFAR-10",
            "accuracy": {"top_1": 0.91},
            "git_commit": "4f0c2e1",
        },
    )
    return LoadedModel(network.eval(), info)


@torch.no_grad()
def show(network: Network, images_NCHW: Tensor) -> None:
    """Gives every norm the statistics of these images, as training would."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(images_NCHW)
    for norm in norms:
        norm.momentum = network.config.conventions.norm_momentum


SMALL_MODELS: dict[str, Callable[[Tensor], LoadedModel]] = {
    "nasnet_a": functools.partial(small_model, what="nasnet_a_cifar", num_reductions=1, auxiliary_head=True),
    "darts_v2": functools.partial(small_model, what="darts_v2_cifar", num_reductions=1),
    "nasbench201": functools.partial(
        small_model, what=from_arch_string(EXAMPLE), head="norm_relu", num_reductions=1, is_grey=True
    ),
    "mixed": functools.partial(
        small_model,
        what=MIXED,
        num_reductions=1,
        conventions={"padding": "same", "strided_identity": "factorized"},
    ),
}
