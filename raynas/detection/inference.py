"""A detector for pictures of one size, in a form that torch.export and the ONNX exporter take.

torchvision's FasterRCNN branches on what it finds, which they refuse (pytorch/vision#9306). This module has
its trained parts and computes the same without a branch: a dropped box gets a score below zero instead.
"""

# Shapes: C channels, H x W pixels, K classes, A anchors, P proposals, D detections.

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raynas.detection.letterbox import check_image_size
from raynas.models.torchvision_import import load_torchvision

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

LEAST_PROPOSAL, LEAST_BOX = 1e-3, 1e-2
"""Pixels per side below which torchvision drops a proposal, and a detection."""
NUM_POINTS = 2


class DetectorForInference(nn.Module):
    """Detections in one image of fixed size, as FasterRCNN gives them in evaluation mode.

    Args:
        detector: as `build_detector` returns it; its modules are used, not copied, and put into evaluation
            mode.
        image_size: height and width of the images, multiples of 32.
    Raises:
        UsageError: they are not.
    """

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(self, detector: FasterRCNN, image_size: tuple[int, int]) -> None:
        super().__init__()
        check_image_size(image_size)
        detector.eval()
        rpn, roi_heads, transform = detector.rpn, detector.roi_heads, detector.transform
        self.backbone, self.rpn_head = detector.backbone, rpn.head
        self.box_head, self.box_predictor = roi_heads.box_head, roi_heads.box_predictor
        self.image_size = image_size
        self.proposal_coder, self.box_coder, self.pool = (
            rpn.box_coder,
            roi_heads.box_coder,
            roi_heads.box_roi_pool,
        )
        self.num_candidates, self.num_proposals = (
            rpn._pre_nms_top_n["testing"],
            rpn._post_nms_top_n["testing"],
        )
        self.proposal_nms, self.box_nms = rpn.nms_thresh, roi_heads.nms_thresh
        self.score_threshold, self.num_detections = roi_heads.score_thresh, roi_heads.detections_per_img
        self.register_buffer("mean_C11", torch.tensor(transform.image_mean)[:, None, None])
        self.register_buffer("std_C11", torch.tensor(transform.image_std)[:, None, None])
        anchors = _anchors(detector, image_size)
        self.num_levels = len(anchors)
        for level, anchors_A4 in enumerate(anchors):
            self.register_buffer(f"anchors_{level}", anchors_A4)

    def forward(self, image_1CHW: Tensor, inner_size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (D, 4) as x1, y1, x2, y2 in pixels of the image, scores (D,) and labels (D,), best first.

        Args:
            image_1CHW: values in [0, 1]. What is outside the picture does not matter.
            inner_size: height and width, int64 (2,), of the picture in the image's upper left corner.
        """
        maps = self.backbone(self._normalised(image_1CHW, inner_size))
        levels = list(maps.values()) if isinstance(maps, dict) else [maps]
        proposals_P4, is_proposal_P = self._proposals(levels, inner_size)
        logits_PK, deltas = self.box_predictor(self.box_head(self._crops(levels, proposals_P4)))
        scores_PK = logits_PK.softmax(dim=1)[:, 1:]
        boxes_PK4 = self.box_coder.decode_single(deltas, proposals_P4).unflatten(1, (-1, 4))[:, 1:]
        return self._detections(_clipped(boxes_PK4, inner_size), scores_PK, is_proposal_P)

    def _normalised(self, image_1CHW: Tensor, inner_size: Tensor) -> Tensor:
        """The image as the network takes it; FasterRCNN pads with zeros after it has normalised."""
        rows_H1 = torch.arange(self.image_size[0], device=image_1CHW.device)[:, None] < inner_size[0]
        columns_1W = torch.arange(self.image_size[1], device=image_1CHW.device)[None] < inner_size[1]
        return torch.where(rows_H1 & columns_1W, (image_1CHW - self.mean_C11) / self.std_C11, 0.0)

    def _proposals(self, levels: list[Tensor], inner_size: Tensor) -> tuple[Tensor, Tensor]:
        """The P best boxes, and which of them are proposals, as there may be fewer."""
        boxes, scores = [], []
        for level, (logits_1AHW, deltas) in enumerate(zip(*self.rpn_head(levels), strict=True)):
            boxes_T4, scores_T = self._level_proposals(level, logits_1AHW[0], deltas[0], inner_size)
            boxes.append(boxes_T4)
            scores.append(scores_T)
        all_scores = torch.cat(scores)
        best_P, index_P = all_scores.topk(min(self.num_proposals, all_scores.shape[0]))
        return torch.cat(boxes)[index_P], best_P >= 0

    def _level_proposals(
        self, level: int, logits_AHW: Tensor, deltas: Tensor, inner_size: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Best boxes (T, 4) of a map and their scores (T,), which are -1 for those that NMS drops."""
        logits = logits_AHW.permute(1, 2, 0).flatten()
        best_T, index_T = logits.topk(min(self.num_candidates, logits.shape[0]))
        deltas_T4 = deltas.reshape(-1, 4, *deltas.shape[1:]).permute(2, 3, 0, 1).reshape(-1, 4)[index_T]
        anchors_T4 = getattr(self, f"anchors_{level}")[index_T]
        boxes_T4 = _clipped(self.proposal_coder.decode_single(deltas_T4, anchors_T4), inner_size)
        scores_T = torch.where(_is_large(boxes_T4, LEAST_PROPOSAL), best_T.sigmoid(), -1.0)
        kept = _nms(boxes_T4, scores_T, self.proposal_nms)
        is_kept = torch.zeros(scores_T.shape[0] + NUM_POINTS, device=kept.device)
        is_kept_T = is_kept.scatter(0, kept, torch.ones_like(kept, dtype=torch.float32))[:-NUM_POINTS]
        return boxes_T4, torch.where(is_kept_T > 0, scores_T, -1.0)

    def _crops(self, levels: list[Tensor], proposals_P4: Tensor) -> Tensor:
        """A crop of each proposal, from the map that suits its size."""
        rois_P5 = F.pad(proposals_P4, (1, 0))
        crops: list[Tensor] = [
            torch.ops.torchvision.roi_align(
                map_1CHW, rois_P5, scale, *self.pool.output_size, self.pool.sampling_ratio, False
            )
            for map_1CHW, scale in zip(levels, self.pool.scales, strict=False)
        ]
        chosen = crops[0]
        if len(crops) > 1:
            # All proposals are cut out of all maps: as many as there are of a map would be no fixed number.
            level_P111 = self.pool.map_levels([proposals_P4])[:, None, None, None]
            for level, cut in enumerate(crops[1:], start=1):
                chosen = torch.where(level_P111 == level, cut, chosen)
        return chosen

    def _detections(
        self, boxes_PK4: Tensor, scores_PK: Tensor, is_proposal_P: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        num_classes = scores_PK.shape[1]
        is_good_PK = (scores_PK > self.score_threshold) & _is_large(boxes_PK4, LEAST_BOX)
        good = torch.nonzero((is_good_PK & is_proposal_P[:, None]).flatten())[:, 0]
        boxes, scores, labels = boxes_PK4.flatten(0, 1)[good], scores_PK.flatten()[good], good % num_classes
        kept = _nms(boxes + self._apart(labels, num_classes), scores, self.box_nms)[: self.num_detections]
        kept = kept[torch.nonzero(kept < scores.shape[0])[:, 0]]
        return boxes[kept], scores[kept], labels[kept] + 1

    def _apart(self, labels: Tensor, num_classes: int) -> Tensor:
        """What moves the boxes of each class to a place of their own, so that NMS compares none with others.

        The places form a square: in a row, coordinates would grow so large that they lose their fractions.
        """
        columns = math.isqrt(num_classes - 1) + 1
        height, width = self.image_size
        shifts = torch.stack([labels % columns * (width + 1), labels // columns * (height + 1)], dim=1)
        return shifts.repeat(1, 2).float()


def exported_program(module: DetectorForInference) -> torch.export.ExportedProgram:
    """The module as a graph of torch operations, for `torch.export.save` or `torch.onnx.export`.

    The graph has torchvision's operators: whoever loads it must have imported torchvision.
    """
    device = module.mean_C11.device
    image_1CHW = torch.zeros(1, len(module.mean_C11), *module.image_size, device=device)
    inner_size = torch.tensor(module.image_size, device=device)
    with warnings.catch_warnings():
        # torchvision's own shape function of nms.
        warnings.simplefilter("ignore", FutureWarning)
        return torch.export.export(module, (image_1CHW, inner_size))


def _anchors(detector: FasterRCNN, image_size: tuple[int, int]) -> list[Tensor]:
    """The anchors (A, 4) of each map."""
    mean = detector.transform.image_mean
    weight = next(detector.parameters())
    image_1CHW = torch.zeros(1, len(mean), *image_size, device=weight.device)
    with torch.no_grad():
        maps = detector.backbone(image_1CHW)
    levels = list(maps.values()) if isinstance(maps, dict) else [maps]
    images = load_torchvision().models.detection.image_list.ImageList(image_1CHW, [image_size])
    (anchors,) = detector.rpn.anchor_generator(images, levels)
    counts = detector.rpn.anchor_generator.num_anchors_per_location()
    numbers = [count * one.shape[2] * one.shape[3] for count, one in zip(counts, levels, strict=True)]
    # Copies, as a file would otherwise hold all of them for each.
    return [anchors_A4.clone() for anchors_A4 in torch.split(anchors, numbers)]


def _nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Numbers of the boxes that are kept, best first, and then two beyond the last box.

    They are points, which NMS always keeps. torchvision tells the exporter that nms keeps at least two boxes,
    which need not be so, and ONNX Runtime takes no empty list (pytorch/vision#4623).
    """
    boxes, scores = F.pad(boxes, (0, 0, 0, NUM_POINTS)), F.pad(scores, (0, NUM_POINTS), value=-2.0)
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, threshold)
    return kept


def _clipped(boxes: Tensor, inner_size: Tensor) -> Tensor:
    """Boxes (..., 4) cut off at the picture's edges."""
    limits = inner_size.flip(0).repeat(2).to(boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), limits)


def _is_large(boxes: Tensor, least: float) -> Tensor:
    sides: Any = boxes[..., 2:] - boxes[..., :2]
    return (sides >= least).all(dim=-1)  # type: ignore[no-any-return]
