"""Parameters and multiply-adds of a detector, computed from its plan in milliseconds. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from raynas.detection.plan import DetectorPlan
from raynas.nn.complexity import (
    Complexity,
    Size,
    cells_complexity,
    layers_complexity,
    stem_complexity,
)

SIDE_MULTIPLE = 32
"""Pictures are padded until their sides are multiples of this."""


@dataclass(frozen=True, slots=True)
class DetectorComplexity:
    """Size of a detector by its parts, and its cost for one picture at inference."""

    backbone: Complexity
    """The network; in the paper's form its cells up to the last reduction."""
    pyramid: Complexity
    """What makes its maps alike; nothing in the paper's form."""
    proposals: Complexity
    """The first stage's convolutions on all maps."""
    boxes: Complexity
    """The second stage, for all proposals of a picture."""

    @property
    def total(self) -> Complexity:
        return self.backbone + self.pyramid + self.proposals + self.boxes


def detector_complexity(plan: DetectorPlan, image_size: Size) -> DetectorComplexity:
    """The detector's size.

    Args:
        image_size: height and width of a picture as the network sees it, before it is padded.
    """
    height, width = (-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in image_size)
    sizes = plan.layers.map_sizes((height, width))
    cells = slice(plan.first_cells)
    backbone = stem_complexity(plan.layers, (height, width)) + cells_complexity(plan.layers, sizes, cells)
    maps = [sizes[one.output] for one in plan.maps]
    if plan.config.head == "cells":
        proposals = _rpn(plan, [maps[-1]], sum(one.channels for one in plan.maps), plan.config.rpn_channels)
        return DetectorComplexity(backbone, Complexity(), proposals, _cells_head(plan))
    backbone += layers_complexity(plan.layers.head, sizes[-1])
    pooled = [*maps, (-(-maps[-1][0] // 2), -(-maps[-1][1] // 2))]
    channels = plan.config.fpn_channels
    return DetectorComplexity(
        backbone, _pyramid(plan, maps), _rpn(plan, pooled, channels, channels), _linear_head(plan)
    )


def _conv(in_channels: int, out_channels: int, kernel: int, sizes: list[Size]) -> Complexity:
    """One convolution with bias and stride 1, on several maps."""
    weights, area = in_channels * out_channels * kernel**2, sum(height * width for height, width in sizes)
    return Complexity(weights + out_channels, weights * area, out_channels * area)


def _linear(in_features: int, out_features: int) -> Complexity:
    return Complexity((in_features + 1) * out_features, in_features * out_features)


def _pyramid(plan: DetectorPlan, sizes: list[Size]) -> Complexity:
    channels = plan.config.fpn_channels
    assert channels is not None
    parts = (
        _conv(one.channels, channels, 1, [size]) + _conv(channels, channels, 3, [size])
        for one, size in zip(plan.maps, sizes, strict=True)
    )
    return sum(parts, Complexity())


def _rpn(plan: DetectorPlan, sizes: list[Size], in_channels: int | None, channels: int | None) -> Complexity:
    assert in_channels is not None and channels is not None
    anchors = plan.num_anchors
    return (
        _conv(in_channels, channels, 3, sizes)
        + _conv(channels, anchors, 1, sizes)
        + _conv(channels, 4 * anchors, 1, sizes)
    )


def _linear_head(plan: DetectorPlan) -> Complexity:
    config = plan.config
    assert config.fpn_channels is not None and config.box_features is not None and config.crop is not None
    first = _linear(config.fpn_channels * config.crop**2, config.box_features)
    second = _linear(config.box_features, config.box_features)
    return (first + second + _predictor(plan, config.box_features)) * _num_proposals(plan)


def _cells_head(plan: DetectorPlan) -> Complexity:
    crop, cells = plan.config.crop, plan.layers.cells[plan.first_cells :]
    assert crop is not None
    sizes: list[Size] = [(crop, crop)] * (len(plan.layers.stem) + plan.first_cells)
    for cell in cells:
        height, width = sizes[cell.current]
        stride = cell.plan.shape.stride
        sizes.append((-(-height // stride), -(-width // stride)))
    rest = cells_complexity(plan.layers, sizes, slice(plan.first_cells, None))
    head = layers_complexity(plan.layers.head, sizes[-1])
    return (rest + head + _predictor(plan, plan.layers.num_features)) * _num_proposals(plan)


def _predictor(plan: DetectorPlan, features: int) -> Complexity:
    outputs = plan.num_classes + 1
    return _linear(features, outputs) + _linear(features, 4 * outputs)


def _num_proposals(plan: DetectorPlan) -> int:
    assert plan.config.proposals.kept is not None
    return plan.config.proposals.kept
