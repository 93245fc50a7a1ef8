"""nms and roi_align for CPUs, in place of torchvision's compiled operators where those can't be loaded.

They follow the compiled kernels, including where samples outside the map count as zero.
Source: pytorch/vision torchvision/csrc/ops/cpu/nms_kernel.cpp, roi_align_kernel.cpp, roi_align_common.h.
"""

# Shapes: N images, C channels, H x W pixels of the map, K boxes, P x Q bins of a pooled box, S samples.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

NMS_BLOCK = 64
"""Boxes whose overlaps are computed at once; the quickest for 500 to 4,000 boxes."""
Boxes = NDArray[np.floating]
"""Corners [4, K]: x1, y1, x2, y2."""
Mask = NDArray[np.bool_]


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices int64 of the boxes that are kept, by falling score; equal scores keep their order.

    Args:
        dets: boxes (K, 4) as x1, y1, x2, y2.
        scores: (K,).
        iou_threshold: a box that overlaps a kept one by more than this is left out.
    Raises:
        ValueError: the shapes are others.
    """
    if dets.dim() != 2 or dets.shape[1] != 4 or scores.shape != dets.shape[:1]:
        raise ValueError(f"boxes must be [K, 4] and scores [K], not {[*dets.shape]} and {[*scores.shape]}")
    order = scores.detach().argsort(stable=True, descending=True)
    alive = order.numpy()
    corners = np.ascontiguousarray(_precise(dets)[order].numpy().T)
    kept = []
    while len(alive):
        is_kept, is_left = _suppressed(corners, iou_threshold)
        kept.append(alive[:NMS_BLOCK][is_kept])
        alive, corners = alive[NMS_BLOCK:][is_left], corners[:, NMS_BLOCK:][:, is_left]
    return torch.from_numpy(np.concatenate(kept)) if kept else order


def _precise(x: Tensor) -> Tensor:
    """Without gradient. float64 stays, as in the compiled kernels; half precision becomes float32."""
    return x.detach() if x.dtype == torch.float64 else x.detach().float()


def _suppressed(corners: Boxes, threshold: float) -> tuple[Mask, Mask]:
    """Which boxes of the first block are kept, and which of the others none of those suppresses."""
    size = min(NMS_BLOCK, corners.shape[1])
    overlaps = _iou(corners[:, :size], corners) > threshold
    # Bit j of row i: whether box i suppresses box j. Whole numbers of any length make a row one operation.
    rows = [int.from_bytes(row.tobytes(), "little") for row in np.packbits(overlaps[:, :size], 1, "little")]
    gone, is_kept = 0, np.zeros(size, bool)
    for index, row in enumerate(rows):
        if not gone >> index & 1:
            is_kept[index] = True
            gone |= row
    is_left: Mask = ~np.logical_or.reduce(overlaps[is_kept, size:], axis=0)
    return is_kept, is_left


def _iou(some: Boxes, all_: Boxes) -> NDArray[np.floating]:
    """Intersection over union [K, L] of some boxes [4, K] with all boxes [4, L]."""
    x1, y1, x2, y2 = (coordinate[:, None] for coordinate in some)
    width = np.minimum(x2, all_[2]) - np.maximum(x1, all_[0])
    height = np.minimum(y2, all_[3]) - np.maximum(y1, all_[1])
    inter = np.maximum(width, 0, out=width) * np.maximum(height, 0, out=height)
    union = (x2 - x1) * (y2 - y1) + (all_[2] - all_[0]) * (all_[3] - all_[1]) - inter
    # Two boxes without area give 0 / 0, which suppresses nothing.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        iou: NDArray[np.floating] = np.divide(inter, union, out=inter)
    return iou


def roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Bins (K, C, P, Q), each the mean of bilinear samples of the map within it.

    Args:
        input: maps (N, C, H, W).
        rois: (K, 5): number of the map, then x1, y1, x2, y2 in the picture.
        spatial_scale: pixels of the map per pixel of the picture.
        sampling_ratio: samples of a bin in each direction; 0 or less means as many as it has pixels.
        aligned: whether a pixel's value lies at its middle.
    """
    channels = input.shape[1]
    table = _precise(input).permute(0, 2, 3, 1).reshape(-1, channels)
    bins = table.new_zeros((len(rois), pooled_height, pooled_width, channels))
    bins_per_side = (pooled_height, pooled_width)
    for part in _taps(rois, input.shape, spatial_scale, bins_per_side, sampling_ratio, aligned):
        weights = part.weights.to(table.dtype)
        pooled = F.embedding_bag(part.places, table, per_sample_weights=weights, mode="sum")
        bins[part.rois] = pooled.view(-1, pooled_height, pooled_width, channels)
    return bins.permute(0, 3, 1, 2).to(input.dtype, memory_format=torch.contiguous_format)


def roi_align_backward(
    grad: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    batch_size: int,
    channels: int,
    height: int,
    width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Gradient (N, C, H, W) of the maps for the gradient (K, C, P, Q) of `roi_align`'s bins."""
    shape = torch.Size((batch_size, channels, height, width))
    grad_KPQC = _precise(grad).permute(0, 2, 3, 1)
    table = np.zeros((batch_size * height * width, channels), grad_KPQC.numpy().dtype)
    bins_per_side = (pooled_height, pooled_width)
    for part in _taps(rois, shape, spatial_scale, bins_per_side, sampling_ratio, aligned):
        grads = grad_KPQC[part.rois].reshape(-1, channels).numpy()
        starts = np.arange(0, part.places.numel() + 1, part.places.shape[1])
        weights = part.weights.to(grad_KPQC.dtype)
        taps = (weights.numpy().ravel(), part.places.numpy().ravel(), starts)
        # The taps as a sparse matrix: bins from the map. Its transpose takes gradients back.
        table += scipy.sparse.csr_array(taps, shape=(len(grads), len(table))).T @ grads
    grad_NHWC = torch.from_numpy(table).view(batch_size, height, width, channels)
    return grad_NHWC.permute(0, 3, 1, 2).to(grad.dtype)


@dataclass(frozen=True, slots=True)
class _Taps:
    """Which pixels the bins of some boxes are made of: a row per bin, a column per pixel."""

    rois: Tensor
    """Numbers of the boxes."""
    places: Tensor
    """Rows of the map when it is written as (N H W, C)."""
    weights: Tensor


def _taps(
    rois: Tensor, shape: torch.Size, scale: float, bins: tuple[int, int], sampling_ratio: int, aligned: bool
) -> list[_Taps]:
    """The pixels of all bins, for boxes with equally many samples together."""
    number, corners = rois[:, 0].long(), _precise(rois[:, 1:]) * scale - (0.5 if aligned else 0.0)
    starts = corners[:, [1, 0]]
    sizes = corners[:, [3, 2]] - starts
    if not aligned:
        sizes = sizes.clamp(min=1.0)
    bin_sizes = sizes / torch.tensor(bins)
    if sampling_ratio > 0:
        groups = [(torch.arange(len(rois)), (sampling_ratio, sampling_ratio))] if len(rois) else []
    else:
        kinds, kind_of_each = torch.unique(bin_sizes.ceil().long(), dim=0, return_inverse=True)
        groups = [((kind_of_each == k).nonzero()[:, 0], (int(y), int(x))) for k, (y, x) in enumerate(kinds)]
    # A box without an area has no samples where their number depends on its size: its bins stay zero.
    return [
        _part_taps(which, number[which], starts[which], bin_sizes[which], bins, samples, shape)
        for which, samples in groups
        if min(samples) > 0
    ]


def _part_taps(
    which: Tensor,
    number: Tensor,
    starts: Tensor,
    bin_sizes: Tensor,
    bins: tuple[int, int],
    samples: tuple[int, int],
    shape: torch.Size,
) -> _Taps:
    height, width = shape[2:]
    rows_KPT, row_weights_KPT = _axis_taps(starts[:, 0], bin_sizes[:, 0], bins[0], samples[0], height)
    columns_KQT, column_weights_KQT = _axis_taps(starts[:, 1], bin_sizes[:, 1], bins[1], samples[1], width)
    base = (number * height * width).view(-1, 1, 1, 1, 1)
    places = base + rows_KPT[:, :, None, :, None] * width + columns_KQT[:, None, :, None, :]
    weights = row_weights_KPT[:, :, None, :, None] * column_weights_KQT[:, None, :, None, :]
    taps = places.shape[3] * places.shape[4]
    return _Taps(which, places.reshape(-1, taps), weights.reshape(-1, taps))


def _axis_taps(
    start_K: Tensor, bin_size_K: Tensor, num_bins: int, num_samples: int, length: int
) -> tuple[Tensor, Tensor]:
    """Pixels and weights (K, bins, 2 S) along one side: two neighbours for each sample."""
    bin_P = torch.arange(num_bins)[:, None]
    sample_S = (torch.arange(num_samples) + 0.5) / num_samples
    at_KPS = start_K[:, None, None] + (bin_P + sample_S) * bin_size_K[:, None, None]
    # Written so that NaN, too, counts as outside.
    is_inside = (at_KPS >= -1.0) & (at_KPS <= length)
    at_KPS = torch.where(is_inside, at_KPS, 0.0).clamp(0, length - 1)
    low = at_KPS.long()
    high = (low + 1).clamp(max=length - 1)
    share_KPS = (at_KPS - low) / num_samples
    places = torch.stack([low, high], dim=-1)
    weights = torch.stack([1.0 / num_samples - share_KPS, share_KPS], dim=-1) * is_inside[..., None]
    return places.flatten(2), weights.flatten(2)
