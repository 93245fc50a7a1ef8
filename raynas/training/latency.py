"""Latency of a network's forward pass, measured in the worker before it trains the network."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from raynas.child import LimitsConfig
from raynas.training.config import LatencyConfig, Precision
from raynas.training.device import autocast_type


@dataclass(frozen=True, slots=True)
class LatencyCheck:
    """How to measure latency, and the limits beyond which a child is not trained."""

    config: LatencyConfig
    limits: LimitsConfig


@torch.no_grad()
def measured_latency(
    network: nn.Module,
    config: LatencyConfig,
    *,
    in_channels: int,
    image_size: int,
    device: str = "cpu",
    precision: Precision = "auto",
) -> float:
    """Median latency in milliseconds of `config.repeats` forward passes.

    Weights, batch norm statistics, mode and torch's random state are left as they were; the network may be on
    another device afterwards.

    Args:
        device: device of the worker.
        precision: number format in which the child trains.
    """
    device = "cpu" if config.device == "cpu" else device
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shape = (config.batch_size, in_channels, image_size, image_size)
    # Not zeros, with which a processor may be faster.
    images_NCHW = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    images_NCHW = images_NCHW.to(device, memory_format=torch.channels_last)
    autocast = autocast_type(precision, device)
    was_training = network.training
    network.eval()
    try:
        with torch.autocast(torch.device(device).type, autocast, enabled=autocast is not None):
            times = [_timed(network, images_NCHW) for _ in range(config.warmup + config.repeats)]
    finally:
        network.train(was_training)
    # The median, because a pass that another process interrupts would pull a mean up.
    return 1000.0 * statistics.median(times[config.warmup :])


def _timed(network: nn.Module, images_NCHW: torch.Tensor) -> float:
    """Seconds of one pass, including all kernels that it starts on a GPU."""
    is_cuda = images_NCHW.is_cuda
    # CUDA kernels run asynchronously: the clock may start and stop only when none is left.
    if is_cuda:
        torch.cuda.synchronize(images_NCHW.device)
    began = time.perf_counter()
    network(images_NCHW)
    if is_cuda:
        torch.cuda.synchronize(images_NCHW.device)
    return time.perf_counter() - began
