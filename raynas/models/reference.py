"""Networks that are no cells and that everybody knows, against which a found cell is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from raynas.errors import UnknownName
from raynas.models.torchvision_import import load_torchvision

ReferenceName = Literal["resnet18"]
REFERENCES: tuple[str, ...] = get_args(ReferenceName)
SMALL_IMAGE_SIZE = 64
"""Pixels per side up to which a network has the stem for small images."""


@dataclass(frozen=True, slots=True)
class ReferenceSpec:
    """Everything that determines a network except its weights."""

    name: str
    """One of REFERENCES."""
    in_channels: int
    num_classes: int
    image_size: int
    """Pixels per side."""

    def build(self) -> nn.Module:
        """The network, with initial weights drawn from torch's global random generator.

        Raises:
            UnknownName: there is no such network.
            ImportError: torchvision is not installed.
        """
        if self.name not in _BUILDERS:
            raise UnknownName("reference network", self.name, REFERENCES)
        return _BUILDERS[self.name](self)

    def parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self._on_meta().parameters())

    def mult_adds(self) -> int:
        """Multiply-adds of convolutions and linear layers for one image."""
        network = self._on_meta().eval()
        image = torch.empty(1, self.in_channels, self.image_size, self.image_size, device="meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(image)
        # A multiply-add is two of torch's operations.
        return int(counter.get_total_flops()) // 2

    def _on_meta(self) -> nn.Module:
        with torch.device("meta"):
            return self.build()


def _resnet18(spec: ReferenceSpec) -> nn.Module:
    """torchvision's ResNet-18 (He et al. 2016, arXiv 1512.03385).

    For small images its stem is one 3x3 convolution of stride 1, as in the paper's networks for CIFAR-10
    (section 4.2): the usual stem would leave a single pixel of 32.
    """
    network: nn.Module = load_torchvision().models.resnet18(weights=None, num_classes=spec.num_classes)
    if spec.image_size <= SMALL_IMAGE_SIZE:
        network.conv1 = nn.Conv2d(spec.in_channels, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    elif spec.in_channels != 3:
        network.conv1 = nn.Conv2d(spec.in_channels, 64, 7, stride=2, padding=3, bias=False)
    return network


_BUILDERS: Mapping[str, Callable[[ReferenceSpec], nn.Module]] = {"resnet18": _resnet18}
