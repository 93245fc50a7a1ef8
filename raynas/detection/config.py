"""Settings of a detector. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raynas.config import FrozenModel

NormMode = Literal["frozen", "trained", "synchronised"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=32, le=8192)]
Channels = Annotated[int, Field(ge=1, le=8192)]


class ProposalConfig(FrozenModel):
    """The first stage: which boxes of a picture the second stage looks at."""

    candidates_train: int = Field(2000, ge=1)
    """Best anchors of each map that go through NMS, in training."""
    candidates: int = Field(1000, ge=1)
    """Best anchors of each map that go through NMS, in evaluation."""
    kept_train: int | None = Field(None, ge=1)
    """Proposals of a picture in training. Defaults to 2,000; to 300 with detector.head=cells, which is the
    default of TensorFlow's Object Detection API.
    """
    kept: int | None = Field(None, ge=1)
    """Proposals of a picture in evaluation. Defaults to 1,000; to 300 with detector.head=cells."""
    nms: Fraction = 0.7
    """Overlap (IoU) with a better proposal above which one is left out."""
    positive_iou: Fraction = 0.7
    """Overlap with a true box from which on an anchor counts as an object in training."""
    negative_iou: Fraction = 0.3
    """Overlap with every true box below which an anchor counts as background in training."""
    batch: int = Field(256, ge=1)
    """Anchors of a picture that the loss is computed on."""
    positive_fraction: Fraction = 0.5
    """Largest share of objects among them."""


class BoxConfig(FrozenModel):
    """The second stage: the classes and final boxes of proposals."""

    batch: int | None = Field(None, ge=1)
    """Proposals of a picture that the loss is computed on. Defaults to 512; to 64 with detector.head=cells,
    which is the default of TensorFlow's Object Detection API.
    """
    positive_fraction: Fraction = 0.25
    """Largest share of objects among them."""
    positive_iou: Fraction = 0.5
    """Overlap with a true box from which on a proposal counts as an object in training."""
    negative_iou: Fraction = 0.5
    """Overlap with every true box below which a proposal counts as background in training."""
    score_threshold: Fraction = 0.05
    """Detections with lower scores are left out; 0 in TensorFlow's configuration for NASNet-A."""
    nms: Fraction = 0.5
    """Overlap with a better detection of the same class above which one is left out; 0.6 in TensorFlow's."""
    detections: int = Field(100, ge=1)
    """Detections of a picture at most."""


class DetectorConfig(FrozenModel):
    """Faster R-CNN on the feature maps of a network. The defaults are torchvision's, where a field does not
    say otherwise; a field that defaults to None is filled in for the network by `plan_detector`.
    """

    head: Literal["fpn", "cells"] = "fpn"
    """'fpn': a feature pyramid on maps of several strides, and two linear layers for each proposal. 'cells':
    the paper's form, with one map made of the last two cells before the last reduction, and all cells from
    that reduction on for each proposal.
    """
    maps: tuple[int, ...] | None = None
    """'fpn' only: strides of the feature maps, each twice the one before, down to the network's smallest map.
    Defaults to [8, 16, 32], and to [4, 8, 16, 32] for networks whose last map has 2,048 channels or more;
    a map of stride 4 would cost a mobile-sized network several times itself.
    """
    fpn_channels: Channels | None = None
    """'fpn' only: channels of the pyramid's maps. Defaults to 256 with a map of stride 4, else to 128."""
    rpn_channels: Channels | None = None
    """'cells' only: channels between the map and the proposals. Defaults to 512."""
    box_features: Channels | None = None
    """'fpn' only: width of the two linear layers. Defaults to 1,024 with a map of stride 4, else to 512."""
    crop: Annotated[int, Field(ge=1, le=64)] | None = None
    """Pixels per side of what is cut out of a map for a proposal. Defaults to 7; to 17 for 'cells'."""
    sampling: int = Field(2, ge=1, le=8)
    """Samples in each direction for each pixel of the crop."""
    anchor_sizes: tuple[tuple[Annotated[int, Field(ge=1)], ...], ...] | None = None
    """Sides in pixels of the anchors, a list for each map. 'fpn' has one map more than `maps`, of twice the
    last stride; it defaults to [[32], [64], [128], ...]. 'cells' has one, [[64, 128, 256, 512]].
    """
    aspect_ratios: tuple[Annotated[float, Field(gt=0)], ...] = Field((0.5, 1.0, 2.0), min_length=1)
    """Heights of anchors divided by their widths."""
    sides: tuple[Side, ...] = Field((800,), min_length=1)
    """Pixels to which a picture's shorter side is scaled. With several, one is drawn for each picture in
    training, and the last is used in evaluation.
    """
    longest_side: Side = 1333
    """Pixels that the longer side never exceeds; the picture is then scaled less."""
    stretch: bool = False
    """Whether pictures become squares of the last of `sides`, as in TensorFlow's configuration for NASNet-A,
    instead of keeping their shape.
    """
    frozen_stride: int = Field(0, ge=0)
    """Stem and cells with outputs up to this stride keep their weights; 4 in torchvision's reference, which
    starts from trained weights. 0 means that everything trains.
    """
    norm: Literal["auto", "frozen", "trained", "synchronised"] = "auto"
    """Batch norm of the network. 'auto': frozen if it starts from trained weights and a worker has fewer than
    8 pictures at a time, else trained. 'synchronised': trained on the pictures of all workers together,
    which works on GPUs only.
    """
    norm_momentum: float = Field(0.1, gt=0, le=1)
    """Momentum of batch norm that is trained. The published ImageNet networks have 3e-4, which needs ten
    thousand updates.
    """
    proposals: ProposalConfig = ProposalConfig()
    boxes: BoxConfig = BoxConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if max(self.sides) > self.longest_side:
            raise ValueError(
                f"sides = {list(self.sides)} are longer than longest_side = {self.longest_side}: no picture "
                "would have them"
            )
        if self.maps is not None and (
            not self.maps or any(b != 2 * a for a, b in zip(self.maps, self.maps[1:], strict=False))
        ):
            raise ValueError(f"maps = {list(self.maps)}: each stride must be twice the one before")
        sizes = self.anchor_sizes
        if sizes is not None and (not sizes or len({len(level) for level in sizes}) != 1 or not sizes[0]):
            raise ValueError("anchor_sizes needs a list for each map, all of one length, which is not zero")
        foreign = {
            "fpn": ("rpn_channels",),
            "cells": ("maps", "fpn_channels", "box_features"),
        }[self.head]
        given = [name for name in foreign if getattr(self, name) is not None]
        if given:
            raise ValueError(
                f"head = {self.head} has no {' and no '.join(given)}: leave out, or set to null where the "
                "recipe gives it"
            )
        return self
