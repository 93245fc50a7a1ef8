"""How long a network's forward pass takes: measured on the worker's own device, before training."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from raynas.child import LimitsConfig
from raynas.config import FrozenModel
from raynas.training.device import Precision, autocast_type


class LatencyConfig(FrozenModel):
    """How a child's latency is measured: a forward pass of its network in evaluation mode, as PyTorch runs
    it, without compilation.

    It is measured if `limits.latency_ms` or the reward asks for it. What else runs on the machine at that
    moment, other children among it, is in the number: compare latencies of one run alone.
    """

    always: bool = False
    """Measure it though nothing asks for it: to be looked at, or for `raynas rescore`."""
    batch_size: int = Field(1, ge=1)
    """Images per pass."""
    device: Literal["worker", "cpu"] = "worker"
    """Where: the device that trains the child, or the CPU, with the worker's number of threads."""
    warmup: int = Field(5, ge=0)
    """Passes before the first that counts."""
    repeats: int = Field(30, ge=1)
    """Passes that count; the latency is their median."""


@dataclass(frozen=True, slots=True)
class LatencyCheck:
    """Measure as `config` says, and refuse what is beyond `limits`."""

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
    """Milliseconds, the median of `config.repeats` passes. Leaves weights, statistics, mode and torch's
    random numbers as they were, but not the network's device.

    Args:
        device: of the worker.
        precision: what the child trains in.
    """
    device = "cpu" if config.device == "cpu" else device
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shape = (config.batch_size, in_channels, image_size, image_size)
    # Not zeros: a processor may be faster with them.
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
    return 1000.0 * statistics.median(times[config.warmup :])


def _timed(network: nn.Module, images_NCHW: torch.Tensor) -> float:
    """Seconds of one pass, to the end of what a GPU has to do for it."""
    is_cuda = images_NCHW.is_cuda
    if is_cuda:
        torch.cuda.synchronize(images_NCHW.device)
    began = time.perf_counter()
    network(images_NCHW)
    if is_cuda:
        torch.cuda.synchronize(images_NCHW.device)
    return time.perf_counter() - began
