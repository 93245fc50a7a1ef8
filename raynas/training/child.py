"""The child loop: trains a network for a few epochs and reports validation accuracy after each.

Source: Zoph et al. 2018, A.1 and A.6: SGD with momentum 0.9, a single-period cosine, 20 epochs. Batch size,
learning rate and weight decay are not in the paper; the defaults here are ours.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from raynas.child import ChildResult, EpochReport, Report, ShouldStop
from raynas.config import FrozenModel
from raynas.nn.drop_path import set_drop_path_progress
from raynas.training.child_checkpoint import (
    Checkpoints,
    from_bytes,
    random_state,
    set_random_state,
    to_bytes,
)
from raynas.training.device import Placement, Precision, autocast_type
from raynas.training.images import AugmentationConfig, DeviceImages


class ChildConfig(FrozenModel):
    """How a child is trained."""

    epochs: int = Field(20, ge=1)
    """Full passes over the training split. Zoph et al. 2018, appendix A."""
    batch_size: int = Field(64, ge=1)
    """Images per step, over all ranks."""
    learning_rate: float = Field(0.05, gt=0)
    """At the first step; a cosine takes it to 0 at the last."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of SGD, in Nesterov's form."""
    weight_decay: float = Field(5e-4, ge=0)
    """L2, on every parameter."""
    gradient_clip: float = Field(5.0, gt=0)
    """Largest global norm of the gradient."""
    auxiliary_weight: float = Field(0.4, ge=0)
    """Weight of the auxiliary head's loss, where the network has one."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Of the training images."""
    precision: Precision = "auto"
    """'auto' computes in bfloat16 where the hardware has it, else in float32."""


def train_child(
    network: nn.Module,
    images: DeviceImages,
    config: ChildConfig,
    *,
    seed: int,
    placement: Placement | None = None,
    report: Report = lambda _: None,
    should_stop: ShouldStop = lambda: False,
    checkpoints: Checkpoints | None = None,
) -> ChildResult:
    """Trains `network` in place; a child that diverges is a result, not an exception.

    Args:
        seed: of the order of images and of their augmentation.
        report: called on rank 0 after each epoch.
        should_stop: asked before each step, where rank 0's answer counts; True ends the child with status
            'stopped'.
        checkpoints: where it goes on if an earlier attempt was kept; on a CPU the result is the same to the
            last bit, but for the seconds.
    Raises:
        Whatever torch raises, such as running out of memory.
    """
    loop = _ChildLoop(network, images, config, seed, placement or Placement(device=images.device))
    curve = loop.resume(checkpoints)
    for told in curve if loop.placement.rank == 0 else ():
        report(told)
    began = time.perf_counter() - (curve[-1].seconds if curve else 0.0)
    for epoch in range(len(curve) + 1, config.epochs + 1):
        ended = loop.train_epoch(epoch, should_stop)
        if ended is not None:
            return ended.model_copy(update={"accuracy": _last_accuracy(ended, curve), "curve": tuple(curve)})
        accuracy = loop.validation_accuracy()
        if accuracy is None:
            reason = f"the network gave no finite numbers after epoch {epoch}"
            return ChildResult(status="failed", reason=reason, curve=tuple(curve))
        seconds = time.perf_counter() - began
        curve.append(EpochReport(epoch=epoch, accuracy=accuracy, train_loss=loop.mean_loss, seconds=seconds))
        if loop.placement.rank == 0:
            report(curve[-1])
        if checkpoints is not None and epoch < config.epochs and checkpoints.is_due(epoch):
            loop.keep(checkpoints, curve)
    return ChildResult(status="completed", accuracy=curve[-1].accuracy, curve=tuple(curve))


def _last_accuracy(ended: ChildResult, curve: list[EpochReport]) -> float | None:
    return curve[-1].accuracy if curve and ended.status == "stopped" else None


class _ChildLoop:
    """Network, optimiser and schedule of one child."""

    def __init__(
        self, network: nn.Module, images: DeviceImages, config: ChildConfig, seed: int, placement: Placement
    ) -> None:
        self.images, self.config, self.placement = images, config, placement
        self.batch_size = min(config.batch_size, len(images.train_labels_N))
        self.network = network.to(placement.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = (
            DistributedDataParallel(self.network, find_unused_parameters=True)
            if placement.num_ranks > 1
            else self.network
        )
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.learning_rate,
            nesterov=config.momentum > 0,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            foreach=True,
        )
        self.total_steps = config.epochs * images.num_steps(self.batch_size)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.total_steps)
        self.autocast = autocast_type(config.precision, placement.device)
        # Every rank draws the same order and takes its share of each batch.
        self.generator = torch.Generator().manual_seed(seed)
        self.steps_done = 0
        self.mean_loss = math.nan

    def keep(self, checkpoints: Checkpoints, curve: list[EpochReport]) -> None:
        """Between two epochs; all ranks take part and rank 0 saves."""
        draws: list[Any] = [random_state(self.placement.device)]
        if self.placement.num_ranks > 1:
            draws = [None] * self.placement.num_ranks
            distributed.all_gather_object(draws, random_state(self.placement.device))
        if self.placement.rank == 0:
            state = {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "generator": self.generator.get_state(),
                "random": draws,
                "steps_done": self.steps_done,
                "curve": [report.model_dump() for report in curve],
            }
            checkpoints.save(len(curve), to_bytes(state))

    def resume(self, checkpoints: Checkpoints | None) -> list[EpochReport]:
        """Goes to where an earlier attempt was kept; returns its curve, empty if there was none."""
        kept = checkpoints.load() if checkpoints is not None else None
        if kept is None:
            return []
        state: Mapping[str, Any] = from_bytes(kept, self.placement.device)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"].cpu())
        set_random_state(state["random"][self.placement.rank], self.placement.device)
        self.steps_done = state["steps_done"]
        return [EpochReport(**report) for report in state["curve"]]

    def train_epoch(self, epoch: int, should_stop: ShouldStop) -> ChildResult | None:
        """One pass; a result if the child has to end here."""
        self.model.train()
        losses = []
        batches = self.images.train_batches(
            self.batch_size,
            self.config.augmentation,
            self.generator,
            rank=self.placement.rank,
            num_ranks=self.placement.num_ranks,
        )
        for images_NCHW, labels_N in batches:
            if self.placement.agree(should_stop()):
                return ChildResult(status="stopped", reason=f"in epoch {epoch}")
            loss = self._step(images_NCHW, labels_N)
            if not math.isfinite(loss):
                return ChildResult(status="failed", reason=f"the loss became {loss} in epoch {epoch}")
            losses.append(loss)
        self.mean_loss = sum(losses) / len(losses)
        return None

    def _step(self, images_NCHW: Tensor, labels_N: Tensor) -> float:
        set_drop_path_progress(self.network, self.steps_done / self.total_steps)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(images_NCHW.device.type, self.autocast, enabled=self.autocast is not None):
            loss = self._loss(self.model(images_NCHW), labels_N)
        # Before the update: a diverged child must not spoil the ranks' weights or its last report.
        mean_loss = self.placement.total(loss.detach().clone()).item() / self.placement.num_ranks
        if math.isfinite(mean_loss):
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip, foreach=True)
            self.optimizer.step()
            self.schedule.step()
        self.steps_done += 1
        return float(mean_loss)

    def _loss(self, output: Tensor | tuple[Tensor, Tensor], labels_N: Tensor) -> Tensor:
        if isinstance(output, Tensor):
            return F.cross_entropy(output.float(), labels_N)
        logits_NK, auxiliary_NK = output
        auxiliary_loss = F.cross_entropy(auxiliary_NK.float(), labels_N)
        return F.cross_entropy(logits_NK.float(), labels_N) + self.config.auxiliary_weight * auxiliary_loss

    @torch.no_grad()
    def validation_accuracy(self) -> float | None:
        """Share of the validation images that the network gets right, over all ranks; None: it diverged."""
        self.network.eval()
        self.placement.share(self.network.buffers())
        counts = torch.zeros(3, device=self.placement.device)
        for images_NCHW, labels_N in self.images.validation_batches(
            2 * self.batch_size, rank=self.placement.rank, num_ranks=self.placement.num_ranks
        ):
            with torch.autocast(images_NCHW.device.type, self.autocast, enabled=self.autocast is not None):
                logits_NK = self.network(images_NCHW)
            num_right = (logits_NK.argmax(dim=1) == labels_N).sum()
            num_broken = (~logits_NK.isfinite()).sum()
            counts += torch.stack([num_right, torch.full_like(num_right, len(labels_N)), num_broken])
        right, total, broken = self.placement.total(counts).tolist()
        return None if broken else float(right / total)
