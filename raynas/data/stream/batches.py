"""From decoded units, which arrive in order, to the batches of the plan."""

# Shapes: N images of a batch or unit, H x W pixels, C channels.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from raynas.data.stream.decoding import DecodedUnit, Decoder, Unit
from raynas.data.stream.images import ImageSet
from raynas.data.stream.order import EpochPlan, Shuffle, num_batches, plan_epoch
from raynas.data.stream.transforms import Transform

DecodeAll = Callable[[Decoder, list[Unit]], Iterable[DecodedUnit]]
"""Decodes units in other processes and gives them back in order, a few ahead of what is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelBatch:
    """Images of one step of one rank.

    Args:
        images_NCHW: uint8, laid out as channels_last; normalise them on the device.
        labels_N: int64.
        position: images that all ranks have taken of this epoch; `start` of batches() goes on from it.
    """

    images_NCHW: Tensor
    labels_N: Tensor
    position: int


class ImageBatches(Protocol):
    """One split of a data set, epoch by epoch. Ranks call it on their own and need not talk to each other."""

    def num_batches(self, *, batch_size: int, num_ranks: int = 1, start: int = 0) -> int:
        """Batches of an epoch from `start`, the same on every rank."""

    def batches(
        self, *, epoch: int, batch_size: int, rank: int = 0, num_ranks: int = 1, start: int = 0
    ) -> Iterator[PixelBatch]:
        """The batches of one rank; see plan_epoch for their order and for `start`.

        Raises:
            DataError: too few images, or a file or an image is corrupt; names it.
        """


@dataclass(frozen=True, slots=True, eq=False)
class PlannedBatches:
    """A ImageBatches but for who decodes.

    Args:
        shuffle: None: validation: every image once, in order, the last batches may be smaller.
    """

    images: ImageSet
    transform: Transform
    shuffle: Shuffle | None
    decode_all: DecodeAll = field(repr=False)

    def num_batches(self, *, batch_size: int, num_ranks: int = 1, start: int = 0) -> int:
        """See ImageBatches."""
        return num_batches(
            self.images.num_images,
            batch_size=batch_size,
            num_ranks=num_ranks,
            start=start,
            drop_last=self.shuffle is not None,
        )

    def batches(
        self, *, epoch: int, batch_size: int, rank: int = 0, num_ranks: int = 1, start: int = 0
    ) -> Iterator[PixelBatch]:
        """See ImageBatches."""
        plan = plan_epoch(
            self.images,
            shuffle=self.shuffle,
            epoch=epoch,
            batch_size=batch_size,
            rank=rank,
            num_ranks=num_ranks,
            start=start,
        )
        decoder = Decoder(self.transform, seed=self.shuffle.seed if self.shuffle else 0)
        units = [Unit(self.images.piece(numbers_N), numbers_N, epoch) for numbers_N in plan.units]
        return assemble(plan, iter(self.decode_all(decoder, units)), self.transform.image_size)


def assemble(plan: EpochPlan, decoded: Iterator[DecodedUnit], image_size: int) -> Iterator[PixelBatch]:
    """Takes units as batches need them, and lets each go when its last image is used."""
    ends_U = np.cumsum([len(numbers_N) for numbers_N in plan.units])
    held: dict[int, DecodedUnit] = {}
    left_U = np.array([len(numbers_N) for numbers_N in plan.units], dtype=np.int64)
    num_received = 0
    for places_N, position in zip(plan.batches, plan.positions, strict=True):
        unit_N = np.searchsorted(ends_U, places_N, side="right")
        images_NHWC = np.empty((len(places_N), image_size, image_size, 3), dtype=np.uint8)
        labels_N = np.empty(len(places_N), dtype=np.int64)
        for unit in np.unique(unit_N):
            while num_received <= unit:
                held[num_received] = next(decoded)
                num_received += 1
            is_here_N = unit_N == unit
            rows_N = places_N[is_here_N] - (ends_U[unit] - len(plan.units[unit]))
            images_NHWC[is_here_N] = held[unit].images_NHWC[rows_N]
            labels_N[is_here_N] = held[unit].labels_N[rows_N]
            left_U[unit] -= len(rows_N)
            if not left_U[unit]:
                del held[unit]
        yield PixelBatch(
            torch.from_numpy(images_NHWC).permute(0, 3, 1, 2), torch.from_numpy(labels_N), position
        )
