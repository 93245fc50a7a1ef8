"""Augmentation of a whole batch at once, on its device, with random parameters for each image.

Shapes: N images, H x W pixels, C channels. Images are normalised floats, so that 0 is the mean colour.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def random_crop(images_NHWC: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Pads each side by `padding` pixels of the mean colour and crops H x W at a random place."""
    num_images, height, width, _ = images_NHWC.shape
    padded = F.pad(images_NHWC, (0, 0, padding, padding, padding, padding))
    # Drawn on the CPU in one call, whatever the device, so that the draws don't depend on it.
    corners_2N = torch.randint(0, 2 * padding + 1, (2, num_images), generator=generator).to(
        images_NHWC.device
    )
    steps = torch.arange(max(height, width), device=images_NHWC.device)
    rows_NH = corners_2N[0][:, None] + steps[:height]
    columns_NW = corners_2N[1][:, None] + steps[:width]
    images_N = torch.arange(num_images, device=images_NHWC.device)
    # The three index tensors broadcast to N x H x W: one gather crops every image at its own place.
    return padded[images_N[:, None, None], rows_NH[:, :, None], columns_NW[:, None, :]]


def random_flip(images_NHWC: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each image left to right with probability one half."""
    chosen_N = (torch.rand(len(images_NHWC), generator=generator) < 0.5).to(images_NHWC.device)
    return torch.where(chosen_N[:, None, None, None], images_NHWC.flip(2), images_NHWC)


def cutout(images_NHWC: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Sets a square of `size` pixels around a random centre to the mean colour.

    Source: DeVries & Taylor 2017 (arXiv 1708.04552); the square may hang over the border.
    """
    num_images, height, width, _ = images_NHWC.shape
    device = images_NHWC.device
    centre_2N = torch.rand(2, num_images, generator=generator).to(device)
    # The centre is drawn inside the image, so a square at the border hides less than its area.
    top_N = (centre_2N[0] * height).long() - size // 2
    left_N = (centre_2N[1] * width).long() - size // 2
    rows_NH = _within(torch.arange(height, device=device), top_N, size)
    columns_NW = _within(torch.arange(width, device=device), left_N, size)
    hidden_NHW = rows_NH[:, :, None] & columns_NW[:, None, :]
    return images_NHWC.masked_fill(hidden_NHW[..., None], 0.0)


def _within(positions: Tensor, start_N: Tensor, size: int) -> Tensor:
    return (positions >= start_N[:, None]) & (positions < start_N[:, None] + size)
