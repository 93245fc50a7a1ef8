"""Plans which rank gets which picture in which batch: pictures of like shape together.

The order depends on nothing but the seed, the epoch, the batch size and the number of ranks.
"""

# Shapes: P pictures of a data set, M of this rank in this epoch, B of a batch.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raynas.data.stream.order import Shuffle, plan_epoch
from raynas.detection.data.pictures import Numbers, PictureSet

SHAPES_PER_DOUBLING = 3
"""Number of groups of shapes between a square and a picture twice as wide as high, as in torchvision's
references/detection (--aspect-ratio-group-factor).
"""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenPictures:
    """Some pictures of a set, in its pieces.

    Args:
        is_chosen_P: which of them.
    """

    pictures: PictureSet
    is_chosen_P: NDArray[np.bool_]

    @property
    def num_images(self) -> int:
        """Number of pictures that were chosen."""
        return int(self.is_chosen_P.sum())

    def pieces(self, rng: np.random.Generator | None) -> list[Numbers]:
        """See PictureSet."""
        chosen = (piece[self.is_chosen_P[piece]] for piece in self.pictures.pieces(rng))
        return [piece for piece in chosen if len(piece)]


@dataclass(frozen=True, slots=True, eq=False)
class PicturePlan:
    """The pictures of one rank in one epoch.

    Args:
        units: numbers of the pictures to read together, about in the order in which they are needed.
        batches: numbers of the pictures of each batch.
        positions: number of pictures that all ranks together have taken after each batch.
    """

    units: list[Numbers]
    batches: list[Numbers]
    positions: list[int]


def plan_pictures(
    chosen: ChosenPictures,
    sizes_P2: Numbers,
    *,
    shuffle: Shuffle | None,
    epoch: int,
    batch_size: int,
    rank: int = 0,
    num_ranks: int = 1,
    start: int = 0,
) -> PicturePlan:
    """Plans what is left of an epoch after position `start`.

    Args:
        sizes_P2: width and height of all pictures, by which they are grouped; 0 where they are not known.
        shuffle: for training: all ranks get the same number of full batches, of pictures of like shape. None,
            for evaluation: every picture comes once, on one rank, in the order of the files.
        start: a position of the same epoch and number of ranks.
    Raises:
        DataError: there are not enough pictures for one batch.
    """
    plan = plan_epoch(
        chosen,
        shuffle=shuffle,
        epoch=epoch,
        batch_size=batch_size,
        rank=rank,
        num_ranks=num_ranks,
    )
    numbers_M = np.concatenate(plan.units) if plan.units else np.empty(0, dtype=np.int64)
    batches = [numbers_M[places_B] for places_B in plan.batches]
    if shuffle is not None:
        batches = by_shape(np.concatenate(batches), sizes_P2, batch_size)
    left = [
        (batch_B, position)
        for batch_B, position in zip(batches, plan.positions, strict=True)
        if position > start and len(batch_B)
    ]
    is_left_P = np.zeros(len(sizes_P2), dtype=bool)
    for batch_B, _ in left:
        is_left_P[batch_B] = True
    units = [unit[is_left_P[unit]] for unit in plan.units]
    return PicturePlan(
        units=[unit for unit in units if len(unit)],
        batches=[batch_B for batch_B, _ in left],
        positions=[position for _, position in left],
    )


def by_shape(numbers_M: Numbers, sizes_P2: Numbers, batch_size: int) -> list[Numbers]:
    """Batches of pictures of like shape, in about the order of the pictures; only the last ones mix shapes.

    Args:
        numbers_M: of a multiple of `batch_size` pictures, in random order.
    """
    groups_M = shape_groups(sizes_P2[numbers_M])
    waiting: dict[int, list[int]] = {}
    batches: list[Numbers] = []
    for number, group in zip(numbers_M.tolist(), groups_M.tolist(), strict=True):
        gathered = waiting.setdefault(group, [])
        gathered.append(number)
        if len(gathered) == batch_size:
            batches.append(np.array(waiting.pop(group)))
    # Neighbours in the order of shapes.
    rest = [number for group in sorted(waiting) for number in waiting[group]]
    return batches + [np.array(rest[place : place + batch_size]) for place in range(0, len(rest), batch_size)]


def shape_groups(sizes_M2: Numbers) -> Numbers:
    """A number for each picture's shape, ascending from narrow to wide."""
    is_known_M = (sizes_M2 > 0).all(axis=1)
    ratios_M = np.ones(len(sizes_M2))
    ratios_M[is_known_M] = sizes_M2[is_known_M, 0] / sizes_M2[is_known_M, 1]
    edges = 2.0 ** np.linspace(-1, 1, 2 * SHAPES_PER_DOUBLING + 1)
    return np.searchsorted(edges, ratios_M, side="right").astype(np.int64)
