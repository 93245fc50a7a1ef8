"""Stacks a Genotype's cells to a classifier for small images: N Normal cells, a Reduction cell, and so on.

Source: tensorflow/models slim nasnet.py, build_nasnet_cifar; Zoph et al. 2018, figure 2.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from raynas.config import FrozenModel
from raynas.genotype import Genotype
from raynas.nn.cell import Cell, CellShape
from raynas.nn.ops import BatchNormConfig, conv


class NetworkConfig(FrozenModel):
    """How cells are stacked."""

    cells_per_stack: int = Field(6, ge=1)
    """N: Normal cells between two reductions; 6 in the published CIFAR-10 network, 2 while searching."""
    filters: int = Field(32, ge=2)
    """F: filters of every state in the first stack; doubled at each reduction."""
    num_reductions: int = Field(2, ge=0, le=5)
    """Reduction cells; there is one more stack of Normal cells than that."""
    stem_multiplier: float = Field(3.0, gt=0)
    """The stem has this many times `filters`."""
    auxiliary_head: bool = False
    """A second classifier at two thirds of the depth, used in training only."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """ScheduledDropPath: probability in the last cell at the end of training; smaller earlier in depth and
    time.
    """
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability before the classifier."""
    norm_epsilon: float = Field(1e-5, gt=0)
    """Batch norm's epsilon; slim nasnet.py, cifar_config."""
    norm_momentum: float = Field(0.1, gt=0, le=1)
    """Batch norm's momentum in PyTorch's sense; 1 - slim's decay of 0.9."""


class Network(nn.Module):
    """A genotype as an image classifier.

    Args:
        image_size: pixels per side; only the auxiliary head depends on it.
    """

    def __init__(
        self,
        genotype: Genotype,
        config: NetworkConfig,
        *,
        in_channels: int,
        num_classes: int,
        image_size: int,
    ) -> None:
        super().__init__()
        norm = BatchNormConfig(config.norm_epsilon, config.norm_momentum)
        self.stem = nn.Sequential(
            conv(in_channels, stem_channels(config), 3), norm.build(stem_channels(config))
        )
        cells = _stack(genotype, config, norm)
        self.cells = nn.ModuleList(cells)
        self.auxiliary_index = _last_cell_before_last_reduction(config)
        self.auxiliary: AuxiliaryHead | None = None
        if config.auxiliary_head:
            size = math.ceil(image_size / 2 ** max(config.num_reductions - 1, 0))
            self.auxiliary = AuxiliaryHead(cells[self.auxiliary_index].out_channels, num_classes, size, norm)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(cells[-1].out_channels, num_classes)
        self.apply(_initialise)

    def forward(self, images_NCHW: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, num_classes); in training with an auxiliary head, (logits, auxiliary logits)."""
        current = self.stem(images_NCHW)
        previous = current
        auxiliary_NK: Tensor | None = None
        for index, cell in enumerate(self.cells):
            current, previous = cell(current, previous), current
            if self.training and self.auxiliary is not None and index == self.auxiliary_index:
                auxiliary_NK = self.auxiliary(F.relu(current))
        features_NC = F.relu(current).mean(dim=(2, 3))
        logits_NK: Tensor = self.classifier(self.dropout(features_NC))
        return logits_NK if auxiliary_NK is None else (logits_NK, auxiliary_NK)


class AuxiliaryHead(nn.Module):
    """5x5 average pool of stride 3, 1x1 to 128, convolution over the whole remaining map to 768, classifier.

    Source: slim nasnet.py, _build_aux_head. On maps below 5x5 the pool covers the map.
    """

    def __init__(self, in_channels: int, num_classes: int, size: int, norm: BatchNormConfig) -> None:
        super().__init__()
        kernel = min(5, size)
        remaining = (size - kernel) // 3 + 1
        self.features = nn.Sequential(
            nn.AvgPool2d(kernel, stride=3),
            nn.Conv2d(in_channels, 128, 1, bias=False),
            norm.build(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, remaining, bias=False),
            norm.build(768),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))  # type: ignore[no-any-return]


def stem_channels(config: NetworkConfig) -> int:
    return max(1, round(config.filters * config.stem_multiplier))


def cell_shapes(genotype: Genotype, config: NetworkConfig) -> list[CellShape]:
    """The cells in order; cell k takes the outputs of cells k - 1 (current) and k - 2 (previous)."""
    strides = ([1] * config.cells_per_stack + [2]) * config.num_reductions + [1] * config.cells_per_stack
    shapes: list[CellShape] = []
    current = previous = stem_channels(config)
    filters = config.filters
    for index, stride in enumerate(strides):
        filters *= stride
        follows_reduction = index > 0 and strides[index - 1] == 2
        shapes.append(
            CellShape(current, previous, filters, stride, follows_reduction, previous_is_current=index == 0)
        )
        cell = genotype.reduction if stride == 2 else genotype.normal
        current, previous = len(cell.concat) * filters, current
    return shapes


def _stack(genotype: Genotype, config: NetworkConfig, norm: BatchNormConfig) -> list[Cell]:
    shapes = cell_shapes(genotype, config)
    return [
        Cell(
            genotype.reduction if shape.stride == 2 else genotype.normal,
            shape,
            norm=norm,
            drop_path=config.drop_path * (index + 1) / len(shapes),
        )
        for index, shape in enumerate(shapes)
    ]


def _last_cell_before_last_reduction(config: NetworkConfig) -> int:
    reductions = max(config.num_reductions, 1)
    return reductions * config.cells_per_stack + (reductions - 1) - 1


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    # slim: variance scaling, FAN_OUT, where a depthwise filter's fan-out is its own k x k.
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        fan_out = height * width * module.out_channels / module.groups
        module.weight.normal_(0.0, math.sqrt(2.0 / fan_out))
    elif isinstance(module, nn.Linear):
        module.weight.normal_(0.0, 0.01)
        module.bias.zero_()
