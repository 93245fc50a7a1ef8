"""Mean and standard deviation of each channel."""

# Shapes: N images, H x W pixels, C channels, V the 256 values of a byte.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_IMAGES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel, for pixels in [0, 1].

    The deviation of a constant channel is 1, never 0, so that normalising divides by it safely.
    """

    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]


def channel_statistics(images_NHWC: NDArray[np.uint8]) -> ChannelStatistics:
    """Mean and standard deviation over all images and pixels, computed from histograms of the bytes."""
    # From histograms, because a copy of the images as floats would be four or eight times as large.
    values_V = np.arange(256) / 255
    frequencies_CV = _histogram(images_NHWC) / images_NHWC[..., 0].size
    mean_C = frequencies_CV @ values_V
    variance_C = (frequencies_CV * (values_V - mean_C[:, None]) ** 2).sum(axis=1)
    is_constant_C = (frequencies_CV > 0).sum(axis=1) == 1
    std_C = np.where(is_constant_C, 1.0, np.sqrt(variance_C))
    return ChannelStatistics(tuple(mean_C.tolist()), tuple(std_C.tolist()))


def _histogram(images_NHWC: NDArray[np.uint8]) -> NDArray[np.int64]:
    num_channels = images_NHWC.shape[3]
    counts_CV = np.zeros((num_channels, 256), dtype=np.int64)
    # In parts, because bincount makes a copy of its input as 64-bit integers.
    for first in range(0, len(images_NHWC), _IMAGES_AT_ONCE):
        part_NHWC = images_NHWC[first : first + _IMAGES_AT_ONCE]
        for channel in range(num_channels):
            counts_CV[channel] += np.bincount(part_NHWC[..., channel].ravel(), minlength=256)
    return counts_CV
