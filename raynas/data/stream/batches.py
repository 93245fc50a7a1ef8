"""Batches of a split: plans an epoch, has its images decoded, and assembles the batches of the plan."""

# Shapes: N images of a batch or unit, U units of an epoch, H x W pixels, C channels.

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
"""Decodes units in other processes and yields them in order, working a few units ahead of the consumer."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelBatch:
    """One step's images of one rank, as bytes.

    Args:
        images_NCHW: uint8 in channels_last memory format; they are normalised on the device.
        labels_N: class indexes, int64.
        position: number of images of this epoch that all ranks have taken so far. Passed to batches() as
            `start`, it resumes the epoch after this batch.
    """

    images_NCHW: Tensor
    labels_N: Tensor
    position: int


class ImageBatches(Protocol):
    """Batches of one split of a data set. Ranks call it independently, without communicating."""

    def num_batches(self, *, batch_size: int, num_ranks: int = 1, start: int = 0) -> int:
        """Number of batches of an epoch from `start`, the same on every rank."""

    def batches(
        self, *, epoch: int, batch_size: int, rank: int = 0, num_ranks: int = 1, start: int = 0
    ) -> Iterator[PixelBatch]:
        """Yields the batches of one rank; see plan_epoch for their order and for `start`.

        Raises:
            DataError: there are too few images, or a file or an image is corrupt; the message names it.
        """


@dataclass(frozen=True, slots=True, eq=False)
class PlannedBatches:
    """ImageBatches in the order of plan_epoch, decoded by `decode_all`.

    Args:
        shuffle: how training images are mixed. None, for validation, gives every image once and in order.
        decode_all: decodes the units of an epoch, for example in processes of this machine (local.py).
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
    """Builds the batches of a plan from its units, which arrive in order.

    A unit is received when a batch first needs it and dropped once its last image is used. With shuffling, a
    batch has images of many units; the plan's window bounds how many are held.
    """
    ends_U = np.cumsum([len(numbers_N) for numbers_N in plan.units])
    held: dict[int, DecodedUnit] = {}
    left_U = np.array([len(numbers_N) for numbers_N in plan.units], dtype=np.int64)
    num_received = 0
    for places_N, position in zip(plan.batches, plan.positions, strict=True):
        # Which unit each image of the batch is in.
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
