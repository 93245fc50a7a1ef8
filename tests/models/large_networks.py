"""timm's large networks with random weights, and ours with the same ones."""

# Shapes: N images, K classes.

from __future__ import annotations

import functools
import importlib.util

import pytest
import torch
from torch import nn

from raynas.models.torchvision_import import load_torchvision

needs_timm = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="timm, which the tests alone need, is not installed"
)
OURS = {"nasnetalarge": "nasnet_a_large", "pnasnet5large": "pnasnet5_large"}


@functools.cache
def timm_network(name: str) -> nn.Module:
    """In evaluation mode, with norms whose every number matters."""
    load_torchvision()
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = timm.create_model(name).eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network


@functools.cache
@torch.no_grad()
def timm_logits(name: str) -> torch.Tensor:
    logits_NK: torch.Tensor = timm_network(name)(images())
    return logits_NK


def images(size: int = 331) -> torch.Tensor:
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
