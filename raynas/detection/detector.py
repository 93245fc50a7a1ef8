"""Builds torchvision's FasterRCNN on the features of a network."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from raynas.detection.backbones import CellsBackbone, CellsHead, PyramidBackbone
from raynas.detection.config import DetectorConfig, NormMode
from raynas.detection.norm import set_norm
from raynas.detection.plan import DetectorPlan, plan_detector
from raynas.errors import InvalidConfig, UsageError
from raynas.models.fitting import fit_weights
from raynas.models.preprocess import Preprocessing
from raynas.models.torchvision_import import load_torchvision
from raynas.nn import Network, NetworkSpec
from raynas.nn.split import split_network

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN


def build_detector(
    network: NetworkSpec,
    config: DetectorConfig = DetectorConfig(),  # noqa: B008
    *,
    num_classes: int,
    preprocessing: Preprocessing,
    weights: Mapping[str, Tensor] | None = None,
    norm: NormMode = "frozen",
) -> FasterRCNN:
    """torchvision's own FasterRCNN with the network's features under it.

    It takes a list of pictures, float tensors (C, H, W) in [0, 1] with as many channels as the network, and
    in training a list of targets: {"boxes": float32 (n, 4) as x1, y1, x2, y2 in pixels, "labels": int64 (n,)
    from 1, as 0 is background}. In training it returns a dict of losses, else a list of {"boxes", "labels",
    "scores"}.

    Args:
        network: the classifier whose features are used; its auxiliary head and classifier are left out.
        num_classes: classes of objects, without background.
        preprocessing: the network's own; mean and std are used.
        weights: state dict of a classifier with this network's cells and sizes, in raynas's or timm's names,
            as `fit_weights` takes it. None means random weights.
        norm: what becomes of the network's batch norm; `norm_rule` chooses it.
    Raises:
        InvalidConfig: the network has no such maps, or the settings don't fit together.
        WeightsError: the weights don't fit the network.
        UsageError: torchvision is not installed.
    """
    plan = plan_detector(network, config, num_classes=num_classes)
    _check_channels(network, preprocessing)
    torchvision = _torchvision()
    body = _body(plan, weights)
    _freeze(body, plan)
    set_norm(body, norm, momentum=plan.config.norm_momentum)
    parts = (
        _cells_parts(torchvision, plan, body)
        if config.head == "cells"
        else _fpn_parts(torchvision, plan, body)
    )
    detector = torchvision.models.detection.FasterRCNN(
        **parts,
        **_pooling(torchvision, plan),
        **_settings(plan.config),
        image_mean=list(preprocessing.mean),
        image_std=list(preprocessing.std),
    )
    # Boxes get the type of what these two give out, and bfloat16 tells pixels apart only up to 256.
    for head in (detector.rpn.head, detector.roi_heads.box_predictor):
        head.register_forward_hook(_in_float32)
    return detector


def _torchvision() -> Any:
    try:
        return load_torchvision()
    except ImportError as error:
        raise UsageError(
            f"Object detection needs torchvision, which can't be imported: {error}. Run: pip install "
            "torchvision"
        ) from error


def _check_channels(network: NetworkSpec, preprocessing: Preprocessing) -> None:
    if not len(preprocessing.mean) == len(preprocessing.std) == network.in_channels:
        raise InvalidConfig(
            f"The preprocessing has mean = {list(preprocessing.mean)} and std = {list(preprocessing.std)}; a "
            f"network for pictures of {network.in_channels} channels needs {network.in_channels} of each."
        )


def _body(plan: DetectorPlan, weights: Mapping[str, Tensor] | None) -> Network:
    """The network with its weights."""
    body = plan.network.build()
    if weights is not None:
        body.load_state_dict(fit_weights(weights, plan.network).state)
    return body


def _freeze(body: Network, plan: DetectorPlan) -> None:
    """Fixes the weights, and the norms, of stem and cells up to `frozen_stride`."""
    parts = [*body.stem, *body.cells]
    for part, output in zip(parts, plan.layers.outputs, strict=True):
        if output.stride <= plan.config.frozen_stride:
            set_norm(part, "frozen", momentum=plan.config.norm_momentum)
            part.requires_grad_(False)


def _fpn_parts(torchvision: Any, plan: DetectorPlan, body: Network) -> dict[str, Any]:
    config = plan.config
    assert config.fpn_channels is not None and config.box_features is not None and config.crop is not None
    fpn = torchvision.ops.FeaturePyramidNetwork(
        [one.channels for one in plan.maps],
        config.fpn_channels,
        torchvision.ops.feature_pyramid_network.LastLevelMaxPool(),
    )
    strides = tuple(one.stride for one in plan.maps)
    faster_rcnn = torchvision.models.detection.faster_rcnn
    return {
        "backbone": PyramidBackbone(body, strides, fpn, out_channels=config.fpn_channels),
        "rpn_head": torchvision.models.detection.rpn.RPNHead(config.fpn_channels, plan.num_anchors),
        "box_head": faster_rcnn.TwoMLPHead(config.fpn_channels * config.crop**2, config.box_features),
        "box_predictor": faster_rcnn.FastRCNNPredictor(config.box_features, plan.num_classes + 1),
    }


def _cells_parts(torchvision: Any, plan: DetectorPlan, body: Network) -> dict[str, Any]:
    first, last = split_network(body, plan.first_cells)
    backbone, head = CellsBackbone(first), CellsHead(last)
    predictor = torchvision.models.detection.faster_rcnn.FastRCNNPredictor(
        head.num_features, plan.num_classes + 1
    )
    return {
        "backbone": backbone,
        "rpn_head": _narrowing_rpn_head(torchvision, plan, backbone.out_channels),
        "box_head": head,
        "box_predictor": predictor,
    }


def _narrowing_rpn_head(torchvision: Any, plan: DetectorPlan, in_channels: int) -> nn.Module:
    """torchvision's RPNHead, whose convolution takes the map's many channels down to a few."""
    channels = plan.config.rpn_channels
    head: nn.Module = torchvision.models.detection.rpn.RPNHead(channels, plan.num_anchors)
    conv = torchvision.ops.Conv2dNormActivation(in_channels, channels, kernel_size=3, norm_layer=None)
    nn.init.normal_(conv[0].weight, std=0.01)
    nn.init.zeros_(conv[0].bias)
    head.conv = nn.Sequential(conv)
    return head


def _pooling(torchvision: Any, plan: DetectorPlan) -> dict[str, Any]:
    """Anchors on each map, and the crops of proposals."""
    config, strides = plan.config, plan.strides
    is_pyramid = config.head == "fpn"
    pooled = strides[:-1] if is_pyramid else strides
    pool = torchvision.ops.MultiScaleRoIAlign(
        [str(level) for level in range(len(pooled))], config.crop, config.sampling
    )
    # torchvision would guess the strides from the first batch, and wrongly if its pictures are small.
    pool.scales = [1.0 / stride for stride in pooled]
    pool.map_levels = torchvision.ops.poolers.initLevelMapper(
        *(int(math.log2(stride)) for stride in (pooled[0], pooled[-1])),
        canonical_scale=pool.canonical_scale,
        canonical_level=pool.canonical_level,
    )
    anchors = torchvision.models.detection.anchor_utils.AnchorGenerator(
        config.anchor_sizes, (config.aspect_ratios,) * len(strides)
    )
    return {"box_roi_pool": pool, "rpn_anchor_generator": anchors}


def _settings(config: DetectorConfig) -> dict[str, Any]:
    proposals, boxes = config.proposals, config.boxes
    return {
        "min_size": config.sides,
        "max_size": config.longest_side,
        "fixed_size": (config.sides[-1],) * 2 if config.stretch else None,
        "rpn_pre_nms_top_n_train": proposals.candidates_train,
        "rpn_pre_nms_top_n_test": proposals.candidates,
        "rpn_post_nms_top_n_train": proposals.kept_train,
        "rpn_post_nms_top_n_test": proposals.kept,
        "rpn_nms_thresh": proposals.nms,
        "rpn_fg_iou_thresh": proposals.positive_iou,
        "rpn_bg_iou_thresh": proposals.negative_iou,
        "rpn_batch_size_per_image": proposals.batch,
        "rpn_positive_fraction": proposals.positive_fraction,
        "box_batch_size_per_image": boxes.batch,
        "box_positive_fraction": boxes.positive_fraction,
        "box_fg_iou_thresh": boxes.positive_iou,
        "box_bg_iou_thresh": boxes.negative_iou,
        "box_score_thresh": boxes.score_threshold,
        "box_nms_thresh": boxes.nms,
        "box_detections_per_img": boxes.detections,
    }


def _in_float32(module: nn.Module, inputs: Any, outputs: tuple[Any, Any]) -> tuple[Any, Any]:
    """Forward hook: scores and box deltas in float32, whatever autocast made of them."""
    first, second = outputs
    if isinstance(first, Tensor):
        return first.float(), second.float()
    return [one.float() for one in first], [one.float() for one in second]
