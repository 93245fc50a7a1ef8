"""Settings of final training, the division of its batch over ranks, and the summaries that it reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

from pydantic import Field, model_validator

from raynas.config import AnyFloat, FrozenModel
from raynas.errors import InvalidConfig
from raynas.training.config import Precision
from raynas.training.optimizer_config import OptimizerConfig, ScheduleConfig


class LoopConfig(FrozenModel):
    """How one network is trained to the end, whatever its task is."""

    epochs: int = Field(600, ge=1)
    """Full passes over the training images."""
    batch_size: int = Field(96, ge=1)
    """Images per update, over all ranks and accumulated steps."""
    accumulate: int = Field(1, ge=1)
    """Number of steps whose gradients are added up to one update. Batch norm sees the images of one step."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    gradient_clip: float | None = Field(5.0, gt=0)
    """Norm of the whole gradient at which it is clipped; None means that it never is."""
    average_decay: float | None = Field(None, gt=0, lt=1)
    """Decay of the moving average of the weights, with which the network is evaluated; 0.9999 for ImageNet.
    After n updates it is at most (1 + n) / (10 + n), as in TensorFlow. None means no average.
    """
    sync_norm: bool = False
    """Whether batch norm uses the images of all ranks, which works on GPUs only, instead of each rank's own.
    """
    precision: Precision = "auto"
    """Number format of forward passes. 'auto' is bfloat16 on GPUs that have it, else float32."""
    checkpoint_steps: int | None = Field(None, ge=1)
    """Number of updates between training checkpoints within an epoch; there is always one after each epoch.
    None means that updates don't count.
    """
    checkpoint_minutes: float | None = Field(None, gt=0)
    """Minutes between training checkpoints within an epoch; None means that time doesn't count."""

    @model_validator(mode="after")
    def _reaches_its_full_rate(self) -> Self:
        warmup = self.schedule.warmup_epochs
        if warmup >= self.epochs:
            raise InvalidConfig(
                f"training.schedule.warmup_epochs = {warmup:g} is not less than training.epochs = "
                f"{self.epochs}, so the full learning rate would never be reached. Give a shorter warm-up "
                "or more epochs."
            )
        return self


class FinalConfig(LoopConfig):
    """Final training of one classifier."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Fraction of the target that is spread over all classes; 0.1 for ImageNet."""
    auxiliary_weight: float = Field(0.4, ge=0)
    """Weight of the auxiliary head's loss, where the network has one."""


Config = TypeVar("Config", bound=LoopConfig)


def micro_batch(config: LoopConfig, num_ranks: int) -> int:
    """Images of one step of one rank.

    Raises:
        InvalidConfig: the batch can't be divided evenly.
    """
    parts = num_ranks * config.accumulate
    if config.batch_size % parts:
        raise InvalidConfig(
            f"training.batch_size = {config.batch_size} can't be divided over {num_ranks} workers and "
            f"{config.accumulate} accumulated steps. Give a multiple of {parts}."
        )
    return config.batch_size // parts


def divisible(config: Config, num_ranks: int) -> Config:
    """`config` with a batch size that these ranks can divide: rounded down, and at least one image for
    each.
    """
    parts = num_ranks * config.accumulate
    size = max(config.batch_size // parts, 1) * parts
    return config.model_copy(update={"batch_size": size})


class EpochSummary(FrozenModel):
    """TrainingSummary of an epoch; a task's own class adds what it measures on the validation images."""

    score: ClassVar[str]
    """Name of the field by which the best epoch is chosen; higher is better."""

    epoch: int = Field(ge=1)
    train_loss: AnyFloat
    learning_rate: float
    """Learning rate of the epoch's last update."""
    images_per_second: float
    """Training images per second over all ranks; validation doesn't count."""
    seconds: float
    """Seconds since this process began to train."""
    seconds_left: float
    """Seconds to the end of the training, at this process's pace so far."""

    def metrics(self) -> dict[str, float]:
        """The numbers that become points of curves, by name."""
        return self.model_dump(exclude={"epoch"})

    def images(self) -> Mapping[str, bytes]:
        """PNG files to look at, by name; MLflow shows them, and the training's curve leaves them out."""
        return {}

    def without_images(self) -> Self:
        """The summary as the curve records it."""
        return self


class ClassifierSummary(EpochSummary):
    """EpochSummary of a classifier. Accuracies are fractions, over all ranks, with the averaged weights."""

    score = "top1"

    top1: float = Field(ge=0, le=1)
    top5: float = Field(ge=0, le=1)


class StepSummary(FrozenModel):
    """TrainingSummary of an epoch so far, at a training checkpoint within it."""

    epoch: int
    """Number of the epoch, from 1."""
    step: int
    """Number of updates so far, over all epochs."""
    train_loss: float
    """Rank 0's mean over the epoch so far."""
    images_per_second: float
    """Training images per second over all ranks, in this epoch so far."""
    seconds_left: float
    """Seconds to the end of the training, at this process's pace so far."""


TrainingSummary = EpochSummary | StepSummary
