"""From a Child to its ChildResult: builds the network, measures it if asked, and trains it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from raynas.child import Child, ChildResult, Report, ShouldStop, TrainChild
from raynas.nn import Network, NetworkConfig, NetworkSpec
from raynas.training.child import ChildConfig, train_child
from raynas.training.child_checkpoint import Checkpoints
from raynas.training.device import Placement, reproducible
from raynas.training.images import DeviceImages
from raynas.training.latency import LatencyCheck, measured_latency


@runtime_checkable
class Resumable(Protocol):
    """What trains children, and can go on with one that another began."""

    def keeping(self, checkpoints: Checkpoints) -> TrainChild:
        """The same for one child, which is kept in `checkpoints`."""


@dataclass(frozen=True)
class ChildTrainer:
    """Trains one child after another on the same images and device; same child and device, same result.

    Args:
        latency: None: it is not measured, and no child is refused.
    """

    network: NetworkConfig
    config: ChildConfig
    images: DeviceImages
    placement: Placement
    latency: LatencyCheck | None = None
    checkpoints: Checkpoints | None = None

    def keeping(self, checkpoints: Checkpoints) -> ChildTrainer:
        """For one child, which is kept in `checkpoints`."""
        return replace(self, checkpoints=checkpoints)

    def __call__(self, child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        began = time.perf_counter()
        split = self.images.split
        with reproducible(child.seed, self.placement):
            network = NetworkSpec(
                child.genotype, self.network, split.num_channels, split.num_classes, split.image_size
            ).build()
            latency_ms = self._latency_ms(network)
            result = self._refusal(latency_ms) or train_child(
                network,
                self.images,
                self.config,
                seed=child.seed,
                placement=self.placement,
                report=report,
                should_stop=should_stop,
                checkpoints=self.checkpoints,
            )
        seconds = time.perf_counter() - began
        return result.model_copy(update={"seconds": seconds, "latency_ms": latency_ms})

    def _latency_ms(self, network: Network) -> float | None:
        """Of rank 0, while the others wait for what it says."""
        if self.latency is None or self.placement.rank != 0:
            return None
        return measured_latency(
            network,
            self.latency.config,
            in_channels=self.images.split.num_channels,
            image_size=self.images.split.image_size,
            device=self.placement.device,
            precision=self.config.precision,
        )

    def _refusal(self, latency_ms: float | None) -> ChildResult | None:
        """The end of a child that is too slow, on every rank."""
        if self.latency is None:
            return None
        excess = "" if latency_ms is None else self.latency.limits.excess_latency(latency_ms)
        if not self.placement.agree(bool(excess)):
            return None
        return ChildResult(status="infeasible", reason=excess)
