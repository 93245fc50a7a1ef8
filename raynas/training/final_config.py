"""How a network is trained to the end, how its batch is divided, and what is told on the way."""

from __future__ import annotations

from pydantic import Field

from raynas.config import AnyFloat, FrozenModel
from raynas.errors import InvalidConfig
from raynas.training.device import Precision
from raynas.training.optimizers import OptimizerConfig, ScheduleConfig


class FinalConfig(FrozenModel):
    """How a network is trained to the end."""

    epochs: int = Field(600, ge=1)
    """Full passes over the training images."""
    batch_size: int = Field(96, ge=1)
    """Images per update, over all ranks and accumulated steps."""
    accumulate: int = Field(1, ge=1)
    """Steps whose gradients are added up to one update; batch norm sees one step's images."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target that is spread over all classes; 0.1 for ImageNet."""
    gradient_clip: float | None = Field(5.0, gt=0)
    """Largest global norm of the gradient; None: any."""
    auxiliary_weight: float = Field(0.4, ge=0)
    """Of the auxiliary head's loss."""
    average_decay: float | None = Field(None, gt=0, lt=1)
    """Of the moving average of the weights, with which the network is evaluated; 0.9999 for ImageNet. It
    begins lower: (1 + n) / (10 + n) after n updates, as TensorFlow's does. None: no average.
    """
    sync_norm: bool = False
    """Batch norm over the images of all ranks; GPUs alone can do it. false: over each rank's own."""
    precision: Precision = "auto"
    """'auto' computes in bfloat16 where the hardware has it, else in float32."""
    checkpoint_steps: int | None = Field(None, ge=1)
    """Updates after which a checkpoint is written within an epoch; None: not by updates. There is one after
    each epoch.
    """
    checkpoint_minutes: float | None = Field(None, gt=0)
    """Minutes after the last checkpoint at which one is written within an epoch; None: not by time."""


def micro_batch(config: FinalConfig, num_ranks: int) -> int:
    """Images of one step of one rank; InvalidConfig if the batch can't be divided so."""
    parts = num_ranks * config.accumulate
    if config.batch_size % parts:
        raise InvalidConfig(
            f"training.batch_size = {config.batch_size} can't be divided over {num_ranks} workers and "
            f"{config.accumulate} accumulated steps. Give a multiple of {parts}."
        )
    return config.batch_size // parts


def divisible(config: FinalConfig, num_ranks: int) -> FinalConfig:
    """With the batch rounded down to what so many ranks can share, and at least one image for each."""
    parts = num_ranks * config.accumulate
    size = max(config.batch_size // parts, 1) * parts
    return config.model_copy(update={"batch_size": size})


class EpochSummary(FrozenModel):
    """What is known after an epoch; accuracies are fractions, over all ranks, with the averaged weights."""

    epoch: int = Field(ge=1)
    train_loss: AnyFloat
    top1: float = Field(ge=0, le=1)
    top5: float = Field(ge=0, le=1)
    learning_rate: float
    """Of the epoch's last update."""
    images_per_second: float
    """Over all ranks, training alone."""
    seconds: float
    """Since this process began to train."""
    seconds_left: float
    """Of the whole training, at this process's pace so far."""


class StepSummary(FrozenModel):
    """What is known at a checkpoint within an epoch."""

    epoch: int
    """From 1."""
    step: int
    """Updates so far, over all epochs."""
    train_loss: float
    """Rank 0's mean over the epoch so far."""
    images_per_second: float
    """Over all ranks, in this epoch so far."""
    seconds_left: float
    """As in EpochSummary."""


Summary = EpochSummary | StepSummary
