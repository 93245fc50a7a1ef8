"""The loop of final training: trains one network to the end, on one or many ranks, and can be interrupted.

What the network learns, and how it is measured, is a Task. Source: Zoph et al. 2018, A.7: evaluation with the
moving average of the weights.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from raynas.errors import InvalidConfig, TrainingFailed, WeightsError
from raynas.nn.drop_path import set_drop_path_progress
from raynas.training.batches import Batches
from raynas.training.checkpoint_clock import CheckpointClock
from raynas.training.device import Placement, autocast_type, hashed_seed
from raynas.training.final_checkpoint import check_state
from raynas.training.final_config import LoopConfig, StepSummary, TrainingSummary, micro_batch
from raynas.training.optimizers import build_optimizer, load_optimizer
from raynas.training.task import AnyBatch, Task

STEPS_PER_CHECK = 50
"""Updates between two checks that the loss is finite; there is also one before each checkpoint."""


class FinalTraining(Generic[AnyBatch]):
    """A network in training, with its optimiser, average and position in the data.

    Args:
        task: the loss of a batch, and what is measured after each epoch.
        seed: seed of dropout and drop path. They are seeded anew for each update and rank, so that a
            checkpoint needs no random state.
    Raises:
        InvalidConfig: a batch can't be divided over the ranks, or is larger than the data set.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: Batches[AnyBatch],
        task: Task[AnyBatch],
        config: LoopConfig,
        placement: Placement,
        *,
        seed: int = 0,
    ) -> None:
        self.batches = batches
        self.task = task
        self.config = config
        self.placement = placement
        self.seed = seed
        self.micro_batch = micro_batch(config, placement.num_ranks)
        self.steps_per_epoch = self._count_steps()
        # Progress is measured in images: in the middle of an epoch the number of ranks, and with it the batch
        # size, may change.
        self._images_per_epoch = self.steps_per_epoch * config.batch_size
        self.network = _on_device(network, config, placement.device)
        self.model = placement.wrap(self.network)
        self.optimizer = build_optimizer(self.network, config.optimizer, config.batch_size)
        self.average = _average(self.network, config.average_decay)
        self.autocast = autocast_type(config.precision, placement.device)
        self._unchecked_loss = torch.zeros((), device=placement.device)
        self.clock = CheckpointClock(
            placement, steps=config.checkpoint_steps, minutes=config.checkpoint_minutes
        )
        # Epochs done, updates done over all epochs, and where the epoch continues (see TrainingBatch).
        self.epoch = 0
        self.step = 0
        self.position = 0
        self._began = 0.0
        self._epoch_began = 0.0
        self._first_progress = 0.0
        self._first_step = 0

    def _count_steps(self) -> int:
        """Updates per epoch."""
        num_batches = self.batches.num_batches(self.micro_batch, num_ranks=self.placement.num_ranks)
        # Batches at the end of an epoch that don't fill an update are left out.
        num_steps = num_batches // self.config.accumulate
        if num_steps < 1:
            raise InvalidConfig(
                f"training.batch_size = {self.config.batch_size} is more than the data set has. Give a "
                "smaller one."
            )
        return num_steps

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated and kept: the one with averaged weights, if they are averaged."""
        return self.network if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """All that a later process needs to continue, on any number of ranks: tensors and numbers."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "place": {"epoch": self.epoch, "step": self.step, "position": self.position},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a state_dict.

        Raises:
            RunFolderError: it is of another network or average; nothing was changed.
            WeightsError: it is of another optimiser, or damaged.
        """
        # Before anything is loaded: load_state_dict copies tensor by tensor, and would leave a mixture behind
        # an error.
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
                "Remove it, so that the one before is used, or start a new training."
            ) from error
        place = state["place"]
        self.epoch = place["epoch"]
        self.step = place["step"]
        self.position = place["position"]

    def run(
        self,
        save: Callable[[TrainingSummary], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Trains for the remaining epochs.

        Args:
            save: called on every rank when a training checkpoint is due: after each epoch with an
                EpochSummary, within an epoch with a StepSummary.
            check: called before each update; an exception that it raises ends the training.
        Raises:
            TrainingFailed: the loss is no longer finite.
            DataError: the first images are of no use as the network gets them.
        """
        self._began = time.perf_counter()
        self._first_progress = self._progress()
        self.clock.restart(self.step)
        while self.epoch < self.config.epochs:
            self._epoch_began = time.perf_counter()
            self._first_step = self.step
            loss = self._train_epoch(save, check)
            # Taken before the validation, which is not to count.
            images_per_second = self._images_per_second()
            scores = self.scores()
            # Before `save`, whose checkpoint must continue with the next epoch.
            self.epoch += 1
            self.position = 0
            save(
                self.task.summary(
                    epoch=self.epoch,
                    train_loss=loss,
                    **scores,
                    learning_rate=self.optimizer.param_groups[0]["lr"],
                    images_per_second=images_per_second,
                    seconds=time.perf_counter() - self._began,
                    seconds_left=self._seconds_left(),
                )
            )
            self.clock.restart(self.step)

    def _progress(self) -> float:
        """Epochs so far, including the fraction of this one that is done."""
        return self.epoch + min(self.position / self._images_per_epoch, 1.0)

    def _images_per_second(self) -> float:
        seconds = time.perf_counter() - self._epoch_began
        return (self.step - self._first_step) * self.config.batch_size / seconds

    def _seconds_left(self) -> float:
        progress = self._progress()
        seconds_per_epoch = (time.perf_counter() - self._began) / max(progress - self._first_progress, 1e-9)
        return seconds_per_epoch * (self.config.epochs - progress)

    def _train_epoch(self, save: Callable[[TrainingSummary], None], check: Callable[[], None]) -> float:
        """Trains for the rest of an epoch; returns the mean loss over its updates and over the ranks."""
        self.model.train()
        losses: list[Tensor] = []
        batches = self.batches.train_batches(
            self.epoch,
            self.micro_batch,
            rank=self.placement.rank,
            num_ranks=self.placement.num_ranks,
            start=self.position,
        )
        gathered: list[AnyBatch] = []
        for batch in batches:
            self.task.look(batch)
            gathered.append(batch)
            if len(gathered) == self.config.accumulate:
                check()
                losses.append(self._update(gathered))
                self.position = batch.position
                gathered = []
                # Asked on every rank after every update, because the ranks agree on the answer.
                if self.clock.is_due(self.step):
                    self._check_loss()
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
        self._check_loss()
        if not losses:
            return math.nan
        # One transfer at the end of the epoch. `item` after each update would make the host wait for the GPU
        # each time.
        mean = self.placement.total(torch.stack(losses).mean()).item() / self.placement.num_ranks
        return float(mean)

    def _update(self, batches: list[AnyBatch]) -> Tensor:
        epoch = self._progress()
        set_drop_path_progress(self.network, epoch / self.config.epochs)
        rate = self.config.optimizer.rate(self.config.batch_size)
        factor = self.config.schedule.factor(epoch, self.config.epochs, 1.0 / self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * factor
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.placement.device)
        with self._seeded_for_step():
            # Gradients add up over the steps, and travel between the ranks with the last one only.
            for batch in batches[:-1]:
                with self._no_sync():
                    loss += self._backward(batch)
            loss += self._backward(batches[-1])
        # Kept on the device as a sum, which is NaN or infinite once one of its terms is.
        self._unchecked_loss += loss
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip, foreach=True)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.step += 1
        if self.step % STEPS_PER_CHECK == 0:
            self._check_loss()
        return loss

    def _backward(self, batch: AnyBatch) -> Tensor:
        # Divided, so that the sum of the steps' gradients is that of their mean loss, as for one large batch.
        loss = self.task.loss(self.model, batch, self.autocast) / self.config.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @contextlib.contextmanager
    def _seeded_for_step(self) -> Iterator[None]:
        """Seeds dropout and drop path for this update and rank."""
        device = torch.device(self.placement.device)
        # Forked, so that seeding here leaves the random numbers of whatever else runs in the process alone.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(hashed_seed(self.seed, self.step, self.placement.rank))
            yield

    def _no_sync(self) -> contextlib.AbstractContextManager[None]:
        """Keeps gradients on their ranks; the last step of an update averages the sum of all its steps."""
        if isinstance(self.model, DistributedDataParallel):
            return self.model.no_sync()
        return contextlib.nullcontext()

    def _check_loss(self) -> None:
        """Raises TrainingFailed if any loss since the last check is not finite.

        Not called at each update, as the host would wait for the GPU each time. The sum of the losses shows
        whether one of them was not finite.
        """
        total = self.placement.total(self._unchecked_loss.clone()).item()
        self._unchecked_loss.zero_()
        if not math.isfinite(total):
            raise TrainingFailed(
                f"The loss became {total} in epoch {self.epoch + 1}, before update {self.step + 1}. Lower "
                "training.optimizer.learning_rate, or lengthen training.schedule.warmup_epochs; the last "
                "checkpoint is from before."
            )

    def scores(self) -> dict[str, Any]:
        """What the task measures on the validation images of all ranks, by the summary's fields."""
        batches = self.batches.validation_batches(
            2 * self.micro_batch, rank=self.placement.rank, num_ranks=self.placement.num_ranks
        )
        return self.task.scores(self.evaluated, batches, self.placement, self.autocast)


def _on_device(network: nn.Module, config: LoopConfig, device: str) -> nn.Module:
    if config.sync_norm and torch.device(device).type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    # channels_last, in which convolutions are faster on CPUs and on GPUs with tensor cores.
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _average(network: nn.Module, decay: float | None) -> AveragedModel | None:
    if decay is None:
        return None

    def update(averages: Any, weights: Any, num_updates: Tensor | int) -> None:
        # Lower at first, so that the random initial weights are soon forgotten.
        share = min(decay, (1.0 + float(num_updates)) / (10.0 + float(num_updates)))
        torch._foreach_lerp_(averages, weights, 1.0 - share)

    # AveragedModel averages parameters alone. It copies batch norm's statistics from the network at each
    # update.
    return AveragedModel(network, multi_avg_fn=update)
