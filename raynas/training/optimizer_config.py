"""Settings of optimisers and learning rate schedules, which can be read and checked without loading torch.

Source: Zoph et al. 2018, A.7 (RMSProp with decay 0.9 and epsilon 1.0, exponential decay of the learning
rate), and the notes in tensorflow/models slim nasnet.py.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from raynas.config import FrozenModel


class OptimizerConfig(FrozenModel):
    """Optimiser of final training."""

    name: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    """Optimiser. 'rmsprop' is TensorFlow's, which adds epsilon under the root; with the paper's epsilon of
    1.0 it differs much from PyTorch's.
    """
    learning_rate: float = Field(0.025, gt=0)
    """Learning rate at the full height of the schedule, for a batch of `reference_batch` images."""
    reference_batch: int | None = Field(None, ge=1)
    """Batch size for which `learning_rate` is given; for others it is scaled in proportion. None means that
    it is never scaled.
    """
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of sgd (Nesterov) and rmsprop; first beta of adamw."""
    decay: float = Field(0.9, gt=0, lt=1)
    """Decay of rmsprop's mean square. adamw's second beta is 0.999."""
    epsilon: float = Field(1.0, gt=0)
    """Epsilon of rmsprop. adamw has 1e-8."""
    weight_decay: float = Field(5e-4, ge=0)
    """Weight decay of convolutions and linear layers: an L2 penalty, decoupled in adamw. Norms and biases
    have none.
    """

    def rate(self, batch_size: int) -> float:
        """The learning rate for this batch size, counted over all workers and accumulated steps."""
        return self.learning_rate * (batch_size / self.reference_batch if self.reference_batch else 1.0)


class ScheduleConfig(FrozenModel):
    """Schedule of the learning rate, as a fraction of its full height."""

    name: Literal["cosine", "exponential", "steps", "constant"] = "cosine"
    """Shape of the schedule after the warm-up."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Number of epochs in which the learning rate rises linearly to its full height, where the schedule then
    begins. Less than the epochs of the training.
    """
    decay_rate: float = Field(0.97, gt=0, le=1)
    """'exponential': factor that is applied every `decay_epochs`, in steps, as in slim. 'steps': factor that
    is applied at each of `milestones`.
    """
    decay_epochs: float = Field(2.4, gt=0)
    """'exponential' only: number of epochs between two steps, from the end of the warm-up."""
    milestones: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """'steps' only: epochs, counted from the start of the training, at which the learning rate falls."""
    floor: float = Field(0.0, ge=0, le=1)
    """Fraction below which the learning rate never falls after the warm-up."""

    def factor(self, epoch: float, epochs: int, step: float = 0.0) -> float:
        """The fraction at `epoch`, which need not be whole, of a training of `epochs` epochs.

        Args:
            step: length of an update in epochs. In the warm-up, an update has the rate of its end, so that
                the first one has more than zero and the last one the full height.
        """
        if epoch < self.warmup_epochs:
            return min((epoch + step) / self.warmup_epochs, 1.0)
        since = epoch - self.warmup_epochs
        # A warm-up as long as the training is refused, but a few updates are measured with any.
        left = max(epochs - self.warmup_epochs, 1e-9)
        share = {
            "cosine": 0.5 * (1.0 + math.cos(math.pi * min(since / left, 1.0))),
            "exponential": self.decay_rate ** math.floor(since / self.decay_epochs),
            "steps": self.decay_rate ** sum(epoch >= milestone for milestone in self.milestones),
            "constant": 1.0,
        }[self.name]
        return max(share, self.floor)
