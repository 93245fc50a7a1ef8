"""Detectors, pictures and targets for tests, as small as can be."""

# Shapes: C channels, H x W pixels.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raynas.cells.genotype import Genotype
from raynas.detection.config import DetectorConfig
from raynas.detection.detector import build_detector
from raynas.models.preprocess import Preprocessing
from raynas.nn import NetworkConfig, NetworkSpec
from search_spaces.nasnet import NASNET_A

SMALL = DetectorConfig(
    fpn_channels=16,
    box_features=32,
    anchor_sizes=((16,), (32,), (64,), (128,)),
    sides=(96,),
    longest_side=160,
    norm="trained",
)
SMALL_CELLS = DetectorConfig(
    head="cells",
    rpn_channels=16,
    crop=5,
    anchor_sizes=((16, 32, 64, 128),),
    sides=(96,),
    longest_side=160,
    norm="trained",
)
FORMS = {"fpn": SMALL, "cells": SMALL_CELLS}
GREY = Preprocessing(64, mean=(0.5,), std=(0.25,))
COLOUR = Preprocessing(64)


def small_spec(genotype: Genotype = NASNET_A, **fields: Any) -> NetworkSpec:
    """One cell per stack and eight filters, for colour pictures of 64 pixels."""
    in_channels = fields.pop("in_channels", 3)
    settings = {"stem": "imagenet", "cells_per_stack": 1, "filters": 8, "stem_filters": 8}
    return NetworkSpec(genotype, NetworkConfig(**{**settings, **fields}), in_channels, 10, 64)


def small_detector(
    config: DetectorConfig = SMALL, *, num_classes: int = 3, norm: str = "trained", **fields: Any
):
    """A detector with the same weights each time."""
    spec = small_spec(**fields)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_detector(
            spec,
            config,
            num_classes=num_classes,
            preprocessing=GREY if spec.in_channels == 1 else COLOUR,
            norm=norm,  # type: ignore[arg-type]
        )


def pictures(*sizes: tuple[int, int], channels: int = 3, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(channels, *size, generator=generator) for size in sizes]


def target(*boxes: tuple[float, float, float, float], label: int = 1) -> dict[str, Tensor]:
    """All boxes of one class; none is a picture of background."""
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label, dtype=torch.int64),
    }


@torch.no_grad()
def busy_detector(
    config: DetectorConfig = SMALL, *, score_threshold: float = 0.05, num_classes: int = 3, **fields: Any
) -> Any:
    """A detector that finds many things of all classes, in noise."""
    detector = small_detector(config, num_classes=num_classes, **fields).train()
    channels = fields.get("in_channels", 3)
    generator = torch.Generator().manual_seed(0)
    for seed in range(10):
        # Statistics of batch norm.
        detector(
            pictures((90, 150), (96, 160), channels=channels, seed=seed),
            [target((10.0, 10.0, 60.0, 70.0)), target()],
        )
    predictor, rpn_head = detector.roi_heads.box_predictor, detector.rpn.head
    for layer in (predictor.cls_score, predictor.bbox_pred, rpn_head.cls_logits, rpn_head.bbox_pred):
        nn.init.normal_(layer.weight, std=0.3, generator=generator)
    detector.roi_heads.score_thresh = score_threshold
    return detector.eval()
