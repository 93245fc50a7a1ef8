"""Training images that grow from stage to stage of a training: its early epochs cost a fraction of the last.

Source: Tan & Le 2021, EfficientNetV2 (arXiv 2104.00298), algorithm 1, for the image size alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from raynas.data.stream.batches import PixelBatch, PlannedBatches
from raynas.data.stream.transforms import TrainTransform


@dataclass(frozen=True, slots=True)
class Growth:
    """Pixels per side, epoch by epoch.

    Args:
        first, last: in the first and in the last stage; between them in equal steps.
        num_stages: of equal length; fewer where there are fewer epochs, and the last is always there.
        epochs: of the whole training.
    """

    first: int
    last: int
    num_stages: int
    epochs: int

    def image_size(self, epoch: int) -> int:
        """Args: epoch: from 0."""
        num_stages = min(self.num_stages, self.epochs)
        # Counted from the end, so that a training of one epoch has the last stage.
        stages_left = (self.epochs - 1 - epoch) * num_stages // self.epochs
        steps = max(num_stages - 1, 1)
        return self.last - round((self.last - self.first) * stages_left / steps)

    @property
    def stages(self) -> list[tuple[int, int]]:
        """Pixels per side and how many epochs have them, in their order."""
        sizes = [self.image_size(epoch) for epoch in range(self.epochs)]
        return [(size, sizes.count(size)) for size in dict.fromkeys(sizes)]

    @property
    def share(self) -> float:
        """Of the pixels that all epochs of the last size would have."""
        return sum(count * (size / self.last) ** 2 for size, count in self.stages) / self.epochs


@dataclass(frozen=True, slots=True, eq=False)
class GrowingBatches:
    """A ImageBatches whose images are cut by `crop`, at each epoch's own size."""

    planned: PlannedBatches
    crop: TrainTransform
    growth: Growth

    def num_batches(self, *, batch_size: int, num_ranks: int = 1, start: int = 0) -> int:
        """See ImageBatches."""
        return self.planned.num_batches(batch_size=batch_size, num_ranks=num_ranks, start=start)

    def batches(
        self, *, epoch: int, batch_size: int, rank: int = 0, num_ranks: int = 1, start: int = 0
    ) -> Iterator[PixelBatch]:
        """See ImageBatches."""
        crop = replace(self.crop, image_size=self.growth.image_size(epoch))
        return replace(self.planned, transform=crop).batches(
            epoch=epoch, batch_size=batch_size, rank=rank, num_ranks=num_ranks, start=start
        )
