"""The loop of final training: a network trained to the end, on one or many ranks, that can be interrupted.

Source: Zoph et al. 2018, A.7: label smoothing 0.1, auxiliary loss 0.4, evaluation with the moving average of
the weights.
"""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from raynas.errors import InvalidConfig, TrainingFailed, WeightsError
from raynas.nn.drop_path import set_drop_path_progress
from raynas.training.checkpoint_clock import CheckpointClock
from raynas.training.device import Placement, autocast_type
from raynas.training.final_checkpoint import check_state
from raynas.training.final_config import EpochSummary, FinalConfig, StepSummary, Summary, micro_batch
from raynas.training.optimizers import build_optimizer, load_optimizer
from raynas.training.sources import Batch, TrainingSource

STEPS_PER_CHECK = 50
"""Updates between two looks at whether the loss is finite; there is one before each checkpoint too."""


class FinalTraining:
    """A network in training, with its optimiser, average and place in the data.

    Args:
        seed: of dropout and drop path, for each update and rank anew, so that any checkpoint is enough.
    Raises:
        InvalidConfig: a batch can't be divided over the ranks, or is larger than the data set.
    """

    def __init__(
        self,
        network: nn.Module,
        source: TrainingSource,
        config: FinalConfig,
        placement: Placement,
        *,
        seed: int = 0,
    ) -> None:
        self.source, self.config, self.placement, self.seed = source, config, placement, seed
        self.micro_batch = micro_batch(config, placement.num_ranks)
        num_batches = source.num_batches(self.micro_batch, num_ranks=placement.num_ranks)
        self.steps_per_epoch = num_batches // config.accumulate
        if self.steps_per_epoch < 1:
            raise InvalidConfig(
                f"training.batch_size = {config.batch_size} is more than the data set has. Give a "
                "smaller one."
            )
        # A schedule goes by images: in the middle of an epoch the number of ranks may change.
        self._images_per_epoch = self.steps_per_epoch * config.batch_size
        if config.sync_norm and torch.device(placement.device).type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.network = network.to(placement.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # A cell of the user's own may ignore an input, and so leave the cell before it without a gradient.
        self.model = (
            DistributedDataParallel(self.network, find_unused_parameters=True)
            if placement.num_ranks > 1
            else self.network
        )
        self.optimizer = build_optimizer(self.network, config.optimizer, config.batch_size)
        self.average = _average(self.network, config.average_decay)
        self.autocast = autocast_type(config.precision, placement.device)
        self._unchecked_loss = torch.zeros((), device=placement.device)
        self.clock = CheckpointClock(
            placement, steps=config.checkpoint_steps, minutes=config.checkpoint_minutes
        )
        self.epoch = self.step = self.position = 0
        self._began = self._epoch_began = self._first_place = 0.0
        self._first_step = 0

    @property
    def evaluated(self) -> nn.Module:
        """The network that is measured and kept: with averaged weights, where they are averaged."""
        return self.network if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later process, on any number of ranks, goes on with: tensors and numbers."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "place": {"epoch": self.epoch, "step": self.step, "position": self.position},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there.

        Raises:
            RunFolderError: it is of another network or average; nothing was changed.
            WeightsError: of another optimiser, or damaged.
        """
        check_state(self.state_dict(), state)
        try:
            load_optimizer(self.optimizer, state["optimizer"])
            self.network.load_state_dict(state["network"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise WeightsError(
                f"The checkpoint doesn't fit this training: {reason}. It is damaged, or of another training. "
                "Remove it, and the one before is taken, or start anew."
            ) from error
        place = state["place"]
        self.epoch, self.step, self.position = place["epoch"], place["step"], place["position"]

    def run(
        self,
        save: Callable[[Summary], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Trains what is left of the epochs.

        Args:
            save: called on every rank when it is time for a checkpoint: after each epoch with an
                EpochSummary, within an epoch with a StepSummary.
            check: called before each update; what it raises ends the training.
        Raises:
            TrainingFailed: the loss is no longer finite.
        """
        self._began, self._first_place = time.perf_counter(), self._place()
        self.clock.restart(self.step)
        while self.epoch < self.config.epochs:
            self._epoch_began, self._first_step = time.perf_counter(), self.step
            loss = self._train_epoch(save, check)
            images_per_second = self._images_per_second()
            top1, top5 = self.accuracies()
            self.epoch, self.position = self.epoch + 1, 0
            save(
                EpochSummary(
                    epoch=self.epoch,
                    train_loss=loss,
                    top1=top1,
                    top5=top5,
                    learning_rate=self.optimizer.param_groups[0]["lr"],
                    images_per_second=images_per_second,
                    seconds=time.perf_counter() - self._began,
                    seconds_left=self._seconds_left(),
                )
            )
            self.clock.restart(self.step)

    def _place(self) -> float:
        """Epochs so far, with what is done of this one."""
        return self.epoch + min(self.position / self._images_per_epoch, 1.0)

    def _images_per_second(self) -> float:
        seconds = time.perf_counter() - self._epoch_began
        return (self.step - self._first_step) * self.config.batch_size / seconds

    def _seconds_left(self) -> float:
        place = self._place()
        pace = (time.perf_counter() - self._began) / max(place - self._first_place, 1e-9)
        return pace * (self.config.epochs - place)

    def _train_epoch(self, save: Callable[[Summary], None], check: Callable[[], None]) -> float:
        """What is left of an epoch; returns the mean loss over it and over the ranks."""
        self.model.train()
        losses: list[Tensor] = []
        batches = self.source.train_batches(
            self.epoch,
            self.micro_batch,
            rank=self.placement.rank,
            num_ranks=self.placement.num_ranks,
            start=self.position,
        )
        gathered: list[Batch] = []
        for batch in batches:
            gathered.append(batch)
            if len(gathered) == self.config.accumulate:
                check()
                losses.append(self._update(gathered))
                self.position, gathered = batch.position, []
                if self.clock.is_due(self.step):
                    self._check()
                    save(
                        StepSummary(
                            epoch=self.epoch + 1,
                            step=self.step,
                            train_loss=torch.stack(losses).mean().item(),
                            images_per_second=self._images_per_second(),
                            seconds_left=self._seconds_left(),
                        )
                    )
                    self.clock.restart(self.step)
        self._check()
        if not losses:
            return math.nan
        mean = self.placement.total(torch.stack(losses).mean()).item() / self.placement.num_ranks
        return float(mean)

    def _update(self, batches: list[Batch]) -> Tensor:
        epoch = self._place()
        set_drop_path_progress(self.network, epoch / self.config.epochs)
        rate = self.config.optimizer.rate(self.config.batch_size)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.config.schedule.factor(epoch, self.config.epochs)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.placement.device)
        with self._own_randomness():
            for batch in batches[:-1]:
                with self._without_exchange():
                    loss += self._backward(batch)
            loss += self._backward(batches[-1])
        self._unchecked_loss += loss
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip, foreach=True)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.step += 1
        if self.step % STEPS_PER_CHECK == 0:
            self._check()
        return loss

    def _backward(self, batch: Batch) -> Tensor:
        device = batch.images_NCHW.device.type
        with torch.autocast(device, self.autocast, enabled=self.autocast is not None):
            output = self.model(batch.images_NCHW)
        loss = self._loss(output, batch.labels_N) / self.config.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _loss(self, output: Tensor | tuple[Tensor, Tensor], labels_N: Tensor) -> Tensor:
        logits_NK, auxiliary_NK = (output, None) if isinstance(output, Tensor) else output
        smoothing = self.config.label_smoothing
        loss = F.cross_entropy(logits_NK.float(), labels_N, label_smoothing=smoothing)
        if auxiliary_NK is None:
            return loss
        auxiliary_loss = F.cross_entropy(auxiliary_NK.float(), labels_N, label_smoothing=smoothing)
        return loss + self.config.auxiliary_weight * auxiliary_loss

    @contextlib.contextmanager
    def _own_randomness(self) -> Iterator[None]:
        device = torch.device(self.placement.device)
        text = f"{self.seed}/{self.step}/{self.placement.rank}"
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(int(hashlib.sha256(text.encode()).hexdigest()[:15], 16))
            yield

    def _without_exchange(self) -> contextlib.AbstractContextManager[None]:
        """Gradients stay on their ranks: the update's last step exchanges them all."""
        if isinstance(self.model, DistributedDataParallel):
            return self.model.no_sync()
        return contextlib.nullcontext()

    def _check(self) -> None:
        """Not at each update: a GPU would have to be waited for."""
        total = self.placement.total(self._unchecked_loss.clone()).item()
        self._unchecked_loss.zero_()
        if not math.isfinite(total):
            raise TrainingFailed(
                f"The loss became {total} in epoch {self.epoch + 1}, before update {self.step + 1}. Lower "
                "training.optimizer.learning_rate, or lengthen training.schedule.warmup_epochs; the last "
                "checkpoint is from before."
            )

    @torch.no_grad()
    def accuracies(self) -> tuple[float, float]:
        """Top-1 and top-5 accuracy on the validation images, over all ranks."""
        network = self.evaluated.eval()
        self.placement.share(network.buffers())
        counts_3 = torch.zeros(3, dtype=torch.float64, device=self.placement.device)
        for batch in self.source.validation_batches(
            2 * self.micro_batch, rank=self.placement.rank, num_ranks=self.placement.num_ranks
        ):
            with torch.autocast(
                batch.images_NCHW.device.type, self.autocast, enabled=self.autocast is not None
            ):
                logits_NK = network(batch.images_NCHW)
            best_NK = logits_NK.topk(min(5, logits_NK.shape[1]), dim=1).indices
            is_right_NK = best_NK == batch.labels_N[:, None]
            counts_3[0] += is_right_NK[:, 0].sum()
            counts_3[1] += is_right_NK.sum()
            counts_3[2] += len(is_right_NK)
        top1, top5, total = self.placement.total(counts_3).tolist()
        return top1 / max(total, 1), top5 / max(total, 1)


def _average(network: nn.Module, decay: float | None) -> AveragedModel | None:
    if decay is None:
        return None

    def update(averages: Any, weights: Any, num_updates: Tensor | int) -> None:
        share = min(decay, (1.0 + float(num_updates)) / (10.0 + float(num_updates)))
        torch._foreach_lerp_(averages, weights, 1.0 - share)

    return AveragedModel(network, multi_avg_fn=update)
