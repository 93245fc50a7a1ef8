"""A detector of random weights learns to find coloured rectangles, on pictures that it has not seen."""

# Shapes: C channels, H x W pixels, B boxes.

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from raynas.detection.config import DetectorConfig
from raynas.models.torchvision_import import load_torchvision
from tests.detection.small_detectors import small_detector

COLOURS = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.9, 0.2], [0.2, 0.2, 0.9]])
SIDE = 96
CONFIG = DetectorConfig(
    fpn_channels=32,
    box_features=64,
    anchor_sizes=((16,), (32,), (64,), (96,)),
    sides=(SIDE,),
    longest_side=SIDE,
    proposals={"kept_train": 100, "kept": 100},
    boxes={"batch": 64, "positive_fraction": 0.5},
)
UPDATES, BATCH = 200, 4


def rectangles(generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture of noise with one to three rectangles, whose colour is their class."""
    picture_CHW = torch.rand(3, SIDE, SIDE, generator=generator) * 0.4
    number = int(torch.randint(1, 4, (1,), generator=generator))
    sizes = torch.randint(20, 48, (number, 2), generator=generator)
    corners = (torch.rand(number, 2, generator=generator) * (SIDE - sizes)).long()
    labels = torch.randint(0, 3, (number,), generator=generator)
    for (x, y), (width, height), label in zip(corners, sizes, labels, strict=True):
        picture_CHW[:, y : y + height, x : x + width] = COLOURS[label, :, None, None]
    boxes_B4 = torch.cat([corners, corners + sizes], dim=1).float()
    return picture_CHW, {"boxes": boxes_B4, "labels": labels + 1}


def learn(detector: Any, generator: torch.Generator) -> None:
    optimizer = torch.optim.AdamW(detector.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=UPDATES, pct_start=0.1)
    detector.train()
    for _ in range(UPDATES):
        pictures, targets = zip(*(rectangles(generator) for _ in range(BATCH)), strict=True)
        optimizer.zero_grad()
        sum(detector(list(pictures), list(targets)).values()).backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
        optimizer.step()
        schedule.step()


@torch.no_grad()
def share_found(detector: Any, generator: torch.Generator, *, num_pictures: int = 24) -> float:
    """Share of true boxes that a detection of their class overlaps by half, with as many tries as boxes."""
    found = total = 0
    for _ in range(num_pictures):
        picture_CHW, target = rectangles(generator)
        (given,) = detector.eval()([picture_CHW])
        tries = len(target["boxes"])
        overlaps = load_torchvision().ops.box_iou(target["boxes"], given["boxes"][:tries])
        is_same_class = target["labels"][:, None] == given["labels"][None, :tries]
        found += int(((overlaps > 0.5) & is_same_class).any(dim=1).sum())
        total += tries
    return found / total


@pytest.mark.slow
def test_rectangles_in_unseen_pictures_are_found_after_two_hundred_updates():
    detector = small_detector(CONFIG)
    torch.manual_seed(0)
    learn(detector, torch.Generator().manual_seed(1))
    share = share_found(detector, torch.Generator().manual_seed(2))
    assert share > 0.4
