"""Progressive resizing: training images grow in stages, so that early epochs cost a fraction of late ones.

Source: Tan & Le 2021, EfficientNetV2 (arXiv 2104.00298), algorithm 1, applied to the image size only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from raynas.data.stream.batches import PixelBatch, PlannedBatches
from raynas.data.stream.transforms import TrainTransform


@dataclass(frozen=True, slots=True)
class Growth:
    """Image size of each epoch, which grows in equal steps from stage to stage.

    Args:
        first: pixels per side in the first stage.
        last: pixels per side in the last stage.
        num_stages: number of stages, of equal length. A training of fewer epochs skips the first stages.
        epochs: number of epochs of the whole training.
    """

    first: int
    last: int
    num_stages: int
    epochs: int

    def image_size(self, epoch: int) -> int:
        """Pixels per side in an epoch, counted from 0."""
        num_stages = min(self.num_stages, self.epochs)
        # Counted from the end, so that a training of a single epoch has images of the last stage's size.
        stages_left = (self.epochs - 1 - epoch) * num_stages // self.epochs
        steps = max(num_stages - 1, 1)
        return self.last - round((self.last - self.first) * stages_left / steps)

    @property
    def stages(self) -> list[tuple[int, int]]:
        """Pixels per side of each stage, in order, and its number of epochs."""
        sizes = [self.image_size(epoch) for epoch in range(self.epochs)]
        return [(size, sizes.count(size)) for size in dict.fromkeys(sizes)]

    @property
    def share(self) -> float:
        """Number of pixels of all epochs, as a fraction of what they would be at the last size throughout."""
        return sum(count * (size / self.last) ** 2 for size, count in self.stages) / self.epochs


@dataclass(frozen=True, slots=True, eq=False)
class GrowingBatches:
    """ImageBatches whose images are cut by `crop` to the size of their epoch."""

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
