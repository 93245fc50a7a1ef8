"""Child training: trains a network for a few epochs and reports validation accuracy after each.

Source: Zoph et al. 2018, A.1 and A.6: SGD with momentum 0.9, a single-period cosine, 20 epochs. Batch size,
learning rate and weight decay are not in the paper; the defaults here are raynas's own.
"""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, distributed, nn

from raynas.child import ChildResult, EpochReport, Report, ShouldStop
from raynas.nn.drop_path import set_drop_path_progress
from raynas.nn.eager_optimizers import SGD
from raynas.training.child_checkpoint import (
    ChildCheckpoints,
    from_bytes,
    random_state,
    set_random_state,
    to_bytes,
)
from raynas.training.config import ChildConfig
from raynas.training.device import Placement, autocast_type
from raynas.training.first_images import FirstImages
from raynas.training.images import DeviceImages
from raynas.training.losses import classification_loss, validation_counts


def train_child(
    network: nn.Module,
    images: DeviceImages,
    config: ChildConfig,
    *,
    seed: int,
    placement: Placement | None = None,
    report_epoch: Report = lambda _: None,
    should_stop: ShouldStop = lambda: False,
    checkpoints: ChildCheckpoints | None = None,
) -> ChildResult:
    """Trains `network` in place. A child that diverges is a result with status 'failed', not an exception.

    Args:
        seed: seed of the order of images and of their augmentation.
        report_epoch: called on rank 0 after each epoch.
        should_stop: called before each step; if it returns True on rank 0, the child ends with status
            'stopped'.
        checkpoints: checkpoints of the child, from which training continues if there is one. On a CPU the
            result is then the same to the bit as that of an uninterrupted training, except for the seconds.
    Raises:
        DataError: the first images are of no use as the network gets them.
        Exception: whatever torch raises, such as running out of memory.
    """
    loop = _ChildLoop(network, images, config, seed, placement or Placement(device=images.device))
    curve = loop.resume(checkpoints)
    # Reported again: the earlier attempt may have died after it saved an epoch and before it reported it.
    for epoch_report in curve if loop.placement.rank == 0 else ():
        report_epoch(epoch_report)
    # The seconds of a curve go on where the earlier attempt stopped.
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
            report_epoch(curve[-1])
        # Not after the last epoch, where the result follows at once.
        if checkpoints is not None and epoch < config.epochs and checkpoints.is_due(epoch):
            loop.save(checkpoints, curve)
    return ChildResult(status="completed", accuracy=curve[-1].accuracy, curve=tuple(curve))


def _last_accuracy(ended: ChildResult, curve: list[EpochReport]) -> float | None:
    return curve[-1].accuracy if curve and ended.status == "stopped" else None


class _ChildLoop:
    """Network, optimiser and schedule of one child."""

    def __init__(
        self, network: nn.Module, images: DeviceImages, config: ChildConfig, seed: int, placement: Placement
    ) -> None:
        self.images = images
        self.config = config
        self.placement = placement
        # A data set that is smaller than a batch is one batch, instead of none.
        self.batch_size = min(config.batch_size, len(images.train_labels_N))
        # channels_last, in which convolutions are faster on CPUs and on GPUs with tensor cores.
        self.network = network.to(placement.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = placement.wrap(self.network)
        self.optimizer = SGD(
            self.network.parameters(),
            lr=config.learning_rate,
            nesterov=config.momentum > 0,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            # One kernel for all parameters, on CPUs and GPUs.
            fused=True,
        )
        # Drop path and learning rate follow steps, not epochs, and end with the last step.
        self.total_steps = config.epochs * images.num_steps(self.batch_size)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.total_steps)
        self.autocast = autocast_type(config.precision, placement.device)
        # Every rank draws the same order and takes its share of each batch.
        # On the CPU whatever the device, so that the order of images doesn't depend on it.
        self.generator = torch.Generator().manual_seed(seed)
        self.first_images = FirstImages()
        self.steps_done = 0
        self.mean_loss = math.nan

    def save(self, checkpoints: ChildCheckpoints, curve: list[EpochReport]) -> None:
        """Saves a child checkpoint between two epochs; called on all ranks, whose random states differ."""
        random_states: list[Any] = [random_state(self.placement.device)]
        if self.placement.num_ranks > 1:
            random_states = [None] * self.placement.num_ranks
            # A collective: all ranks must come here, although rank 0 alone saves.
            distributed.all_gather_object(random_states, random_state(self.placement.device))
        if self.placement.rank == 0:
            state = {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "generator": self.generator.get_state(),
                "random": random_states,
                "steps_done": self.steps_done,
                "curve": [report.model_dump() for report in curve],
            }
            checkpoints.save(len(curve), to_bytes(state))

    def resume(self, checkpoints: ChildCheckpoints | None) -> list[EpochReport]:
        """Loads the last child checkpoint; returns its curve, which is empty if there was none."""
        saved = checkpoints.load() if checkpoints is not None else None
        if saved is None:
            return []
        state: Mapping[str, Any] = from_bytes(saved, self.placement.device)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        # from_bytes has moved it to the device; a generator on the CPU takes its state from there only.
        self.generator.set_state(state["generator"].cpu())
        set_random_state(state["random"][self.placement.rank], self.placement.device)
        # mean_loss isn't restored: the next epoch sets it before it is reported.
        self.steps_done = state["steps_done"]
        return [EpochReport(**report) for report in state["curve"]]

    def train_epoch(self, epoch: int, should_stop: ShouldStop) -> ChildResult | None:
        """Trains for one epoch; returns a result if the child ends within it."""
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
            # Asked of rank 0 at every step: ranks that ended at different steps would wait for each other in
            # the next collective.
            if self.placement.agree(should_stop()):
                return ChildResult(status="stopped", reason=f"in epoch {epoch}")
            # Before the step, so that images of no use are reported instead of a loss that doesn't fall.
            self.first_images.look(images_NCHW, labels_N)
            loss = self._step(images_NCHW, labels_N)
            if not math.isfinite(loss):
                return ChildResult(status="failed", reason=f"the loss became {loss} in epoch {epoch}")
            losses.append(loss)
        self.mean_loss = sum(losses) / len(losses)
        return None

    def _step(self, images_NCHW: Tensor, labels_N: Tensor) -> float:
        # At every step, as in slim, where the probability grows with the step and not with the epoch.
        set_drop_path_progress(self.network, self.steps_done / self.total_steps)
        # None instead of zeros: a parameter that took no part in a step isn't moved by its momentum.
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(images_NCHW.device.type, self.autocast, enabled=self.autocast is not None):
            output = self.model(images_NCHW)
            loss = classification_loss(output, labels_N, auxiliary_weight=self.config.auxiliary_weight)
        # Checked before the update, which would spoil the weights. The mean over the ranks is checked, so
        # that all of them end at the same step.
        mean_loss = self.placement.total(loss.detach().clone()).item() / self.placement.num_ranks
        if math.isfinite(mean_loss):
            loss.backward()  # type: ignore[no-untyped-call]
            # After `backward`, in which DDP has averaged the gradients: every rank clips the same ones.
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip, foreach=True)
            self.optimizer.step()
            self.schedule.step()
        self.steps_done += 1
        return float(mean_loss)

    def validation_accuracy(self) -> float | None:
        """Fraction of validation images classified correctly, over all ranks; None if the network
        diverged.
        """
        # Twice as many images as in training: without gradients, a forward pass needs less memory.
        batches = self.images.validation_batches(
            2 * self.batch_size, rank=self.placement.rank, num_ranks=self.placement.num_ranks
        )
        # The bare network, not the one that DDP wraps: ranks may have different numbers of batches, and each
        # of DDP's forward passes waits for all ranks.
        num_right, num_images, num_broken = validation_counts(
            self.network, batches, _counts, placement=self.placement, autocast=self.autocast
        )
        return None if num_broken else num_right / num_images


def _counts(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    """Images classified correctly, images, and logits that are not finite."""
    num_right = (logits_NK.argmax(dim=1) == labels_N).sum()
    # argmax finds a class even among NaNs, so a network that diverged would get an accuracy like any other.
    num_broken = (~logits_NK.isfinite()).sum()
    return torch.stack([num_right, torch.full_like(num_right, len(labels_N)), num_broken])
