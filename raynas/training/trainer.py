"""Turns a Child into its ChildResult: builds the network, measures its latency if asked, and trains it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from raynas.child import Child, ChildResult, Report, ShouldStop, TrainChild
from raynas.data import ImageSplit
from raynas.nn import Network, NetworkConfig, NetworkSpec
from raynas.training.child import train_child
from raynas.training.child_checkpoint import ChildCheckpoints
from raynas.training.config import ChildConfig
from raynas.training.device import Placement, reproducible
from raynas.training.images import DeviceImages
from raynas.training.latency import LatencyCheck, measured_latency


@runtime_checkable
class Resumable(Protocol):
    """A TrainChild that can save checkpoints, and continue a child that another worker began."""

    def with_checkpoints(self, checkpoints: ChildCheckpoints) -> TrainChild:
        """A TrainChild for the one child whose checkpoints these are."""


@dataclass(frozen=True)
class ChildTrainer:
    """Trains one child after another on the same images. The same child on the same device has the same
    result.

    Args:
        latency: how to measure latency, and its limit; None means that it is not measured.
        checkpoints: checkpoints of the child that is trained; None means that none are saved.
    """

    network: NetworkConfig
    config: ChildConfig
    images: DeviceImages
    placement: Placement
    latency: LatencyCheck | None = None
    checkpoints: ChildCheckpoints | None = None

    def with_checkpoints(self, checkpoints: ChildCheckpoints) -> ChildTrainer:
        """A trainer of the one child whose checkpoints these are."""
        return replace(self, checkpoints=checkpoints)

    def __call__(self, child: Child, report_epoch: Report, should_stop: ShouldStop) -> ChildResult:
        began = time.perf_counter()
        split = self.images.split
        # The network is built inside, as its initial weights come from the child's seed too.
        with reproducible(child.seed, self.placement):
            network = NetworkSpec(
                child.genotype, self.network, split.num_channels, split.num_classes, split.image_size
            ).build()
            # Before the training, so that a network beyond the limit costs no more than this.
            latency_ms = self._latency_ms(network)
            result = self._refusal(latency_ms) or train_child(
                network,
                self.images,
                self.config,
                seed=child.seed,
                placement=self.placement,
                report_epoch=report_epoch,
                should_stop=should_stop,
                checkpoints=self.checkpoints,
            )
        seconds = time.perf_counter() - began
        return result.model_copy(update={"seconds": seconds, "latency_ms": latency_ms})

    def _latency_ms(self, network: Network) -> float | None:
        """Latency of a forward pass, measured on rank 0 only; None on the others, or if nothing asks for
        it.
        """
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
        """The result of a child that is beyond the latency limit, on every rank; None if it is within."""
        if self.latency is None:
            return None
        excess = "" if latency_ms is None else self.latency.limits.excess_latency(latency_ms)
        # Rank 0 alone has measured; the others learn from it that the child is refused, or would begin to
        # train alone.
        if not self.placement.agree(bool(excess)):
            return None
        return ChildResult(status="infeasible", reason=excess)


def image_trainer(
    placement: Placement,
    split: ImageSplit | None,
    *,
    network: NetworkConfig,
    child: ChildConfig,
    latency: LatencyCheck | None = None,
) -> TrainChild:
    """The function that trains children in a worker, whose images are moved to the device once."""
    assert split is not None
    return ChildTrainer(network, child, DeviceImages(split, placement.device), placement, latency)
