"""What a final training teaches a network: the loss of a batch, and what is measured after each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from raynas.training.batches import Positioned
from raynas.training.device import Placement
from raynas.training.final_config import EpochSummary

AnyBatch = TypeVar("AnyBatch", bound=Positioned)
_Batch = TypeVar("_Batch", bound=Positioned, contravariant=True)


class Task(Protocol[_Batch]):
    """One kind of final training, such as classification; FinalTraining does what all kinds share."""

    @property
    def summary(self) -> type[EpochSummary]:
        """The class of an epoch's summary, which names the score of the best epoch."""

    def look(self, batch: _Batch) -> None:
        """Looks at each training batch before it is used; raises DataError if it is of no use."""

    def loss(self, model: nn.Module, batch: _Batch, autocast: torch.dtype | None) -> Tensor:
        """The scalar loss of a batch in float32, with a gradient.

        Args:
            model: the network, or the network wrapped to average gradients over ranks.
            autocast: type to compute in; None means float32.
        """

    def scores(
        self,
        network: nn.Module,
        batches: Iterator[_Batch],
        placement: Placement,
        autocast: torch.dtype | None,
    ) -> dict[str, Any]:
        """The fields that `summary` adds to EpochSummary, measured over the batches of all ranks.

        Leaves the network in evaluation mode.
        """
