"""Detection as the task of a final training: Faster R-CNN's four losses, and COCO's average precision."""

# Shapes: C channels, H x W pixels.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import field_validator
from torch import Tensor, nn

from raynas.detection.data import DetectionBatch, DetectionBatches, DetectionSet
from raynas.detection.drawing import comparisons, example_numbers, png
from raynas.detection.evaluation import Predictions, evaluate_predictions
from raynas.detection.summary import DetectionSummary, summary_fields
from raynas.errors import DataError
from raynas.training.device import Placement
from raynas.training.final_config import LoopConfig

PICTURE_SIDE = 400
"""Longest side in pixels of each half of the pictures that a training shows: a few hundred kilobytes each."""


class DetectionConfig(LoopConfig):
    """Final training of one detector."""

    @field_validator("sync_norm")
    @classmethod
    def _is_the_detectors(cls, sync_norm: bool) -> bool:
        if sync_norm:
            raise ValueError("training.sync_norm is for classifiers; set detector.norm=synchronised instead")
        return sync_norm


class Detection:
    """The task of a detector of torchvision.

    Args:
        num_pictures: validation pictures with true and predicted boxes in each epoch's summary.
    """

    summary = DetectionSummary

    def __init__(self, validation: DetectionSet, *, num_pictures: int = 0) -> None:
        self._validation = validation
        self._num_pictures = num_pictures
        self._has_looked = False

    def look(self, batch: DetectionBatch) -> None:
        """Looks at the first pictures; raises DataError if they are of no use."""
        if self._has_looked:
            return
        self._has_looked = True
        if not any(float(image_CHW.std()) for image_CHW in batch.images):
            raise DataError(
                f"The first {len(batch.images)} training pictures are of a single colour each, so there is "
                "nothing to learn. Look at the picture files."
            )

    def loss(self, model: nn.Module, batch: DetectionBatch, autocast: torch.dtype | None) -> Tensor:
        """The sum of the losses of both stages, for classes and for boxes."""
        device = batch.images[0].device.type
        with torch.autocast(device, autocast, enabled=autocast is not None):
            losses: dict[str, Tensor] = model(batch.images, batch.targets)
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    @torch.no_grad()
    def scores(
        self,
        network: nn.Module,
        batches: Iterator[DetectionBatch],
        placement: Placement,
        autocast: torch.dtype | None,
    ) -> dict[str, Any]:
        """COCO's numbers over the validation pictures of all ranks, the same on each rank."""
        network.eval()
        # Running statistics differ between ranks. All must evaluate the same network.
        placement.share(network.buffers())
        own = predict(network, batches, autocast)
        parts = placement.gather(own.table())
        everything = Predictions.joined([Predictions.of_table(part) for part in parts])
        fields = None
        if placement.rank == 0:
            fields = summary_fields(evaluate_predictions(everything, self._validation))
        shared: dict[str, Any] = placement.gather(fields)[0]
        # Rank 0 alone draws: it is the one whose summaries reach the driver.
        return shared if placement.rank else {**shared, "pictures": self._pictures(everything)}

    def _pictures(self, predictions: Predictions) -> tuple[bytes, ...]:
        numbers = example_numbers(self._validation.pictures, self._num_pictures)
        drawn = comparisons(self._validation, numbers, predictions, side=PICTURE_SIDE)
        return tuple(png(picture) for picture in drawn)


def predict(
    network: nn.Module, batches: Iterator[DetectionBatch], autocast: torch.dtype | None = None
) -> Predictions:
    """What a detector in evaluation mode finds in the pictures of all batches."""
    parts = []
    for batch in batches:
        device = batch.images[0].device.type
        with torch.no_grad(), torch.autocast(device, autocast, enabled=autocast is not None):
            outputs = network(batch.images)
        parts.append(Predictions.of_outputs(batch.numbers.tolist(), outputs))
    return Predictions.joined(parts)


@dataclass(frozen=True)
class DetectorBatches:
    """The batches of a detector's training, as FinalTraining takes them. A position is a number of pictures
    of all ranks.
    """

    train: DetectionBatches
    validation: DetectionBatches

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        """Number of batches that each rank gets in an epoch."""
        return self.train.num_batches(batch_size, num_ranks=num_ranks)

    def train_batches(
        self, epoch: int, batch_size: int, *, rank: int, num_ranks: int, start: int = 0
    ) -> Iterator[DetectionBatch]:
        """One rank's batches of an epoch from position `start`."""
        return self.train.batches(
            epoch=epoch, batch_size=batch_size, rank=rank, num_ranks=num_ranks, start=start
        )

    def validation_batches(self, batch_size: int, *, rank: int, num_ranks: int) -> Iterator[DetectionBatch]:
        """One rank's validation pictures, one at a time; each is on exactly one rank."""
        # Beside a larger picture one gets a margin, which changes what is found in it, so that the numbers
        # would depend on the number of ranks (pytorch/vision#4257). torchvision's reference does the same.
        return self.validation.batches(epoch=0, batch_size=1, rank=rank, num_ranks=num_ranks)
