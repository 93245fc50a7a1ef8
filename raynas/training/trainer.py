"""From a Child to its ChildResult: builds the network and trains it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from raynas.child import Child, ChildResult, Report, ShouldStop, TrainChild
from raynas.nn import Network, NetworkConfig
from raynas.training.child import ChildConfig, train_child
from raynas.training.child_checkpoint import Checkpoints
from raynas.training.device import Placement, reproducible
from raynas.training.images import DeviceImages


@runtime_checkable
class Resumable(Protocol):
    """What trains children, and can go on with one that another began."""

    def keeping(self, checkpoints: Checkpoints) -> TrainChild:
        """The same for one child, which is kept in `checkpoints`."""


@dataclass(frozen=True)
class ChildTrainer:
    """Trains one child after another on the same images and device; same child and device, same result."""

    network: NetworkConfig
    config: ChildConfig
    images: DeviceImages
    placement: Placement
    checkpoints: Checkpoints | None = None

    def keeping(self, checkpoints: Checkpoints) -> ChildTrainer:
        """For one child, which is kept in `checkpoints`."""
        return replace(self, checkpoints=checkpoints)

    def __call__(self, child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        began = time.perf_counter()
        split = self.images.split
        with reproducible(child.seed, self.placement):
            network = Network(
                child.genotype,
                self.network,
                in_channels=split.num_channels,
                num_classes=split.num_classes,
                image_size=split.image_size,
            )
            result = train_child(
                network,
                self.images,
                self.config,
                seed=child.seed,
                placement=self.placement,
                report=report,
                should_stop=should_stop,
                checkpoints=self.checkpoints,
            )
        return result.model_copy(update={"seconds": time.perf_counter() - began})
