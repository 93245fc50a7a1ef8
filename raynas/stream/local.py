"""Decodes in processes of this machine, with torch's DataLoader: works where Ray is not installed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from raynas.errors import DataError
from raynas.stream.batches import PlannedBatches
from raynas.stream.decoding import DecodedUnit, Decoder, Unit
from raynas.stream.images import ImageSet
from raynas.stream.order import Shuffle
from raynas.stream.transforms import Transform

_UNITS_AHEAD = 2
"""Per process: one that is decoded while another waits to be taken."""


def local_batches(
    images: ImageSet, transform: Transform, *, shuffle: Shuffle | None, num_processes: int | None = None
) -> PlannedBatches:
    """A BatchSource over processes of this machine.

    Args:
        shuffle: for training; None for validation.
        num_processes: that decode, for one rank; None: one per core. 0 decodes in this process.
    """
    count = (os.cpu_count() or 1) if num_processes is None else num_processes
    return PlannedBatches(images, transform, shuffle, LocalProcesses(count))


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """A DecodeAll. The processes are started for every epoch and end with it."""

    num_processes: int

    def __call__(self, decoder: Decoder, units: list[Unit]) -> Iterator[DecodedUnit]:
        """See DecodeAll."""
        if not self.num_processes or not units:
            yield from map(decoder, units)
            return
        num_processes = min(self.num_processes, len(units))
        work = _Work(decoder, units, num_slots=num_processes * _UNITS_AHEAD + 1)
        loader = DataLoader(
            work,
            batch_size=None,
            num_workers=num_processes,
            prefetch_factor=_UNITS_AHEAD,
            multiprocessing_context=_process_context(),
        )
        for index, answer in enumerate(loader):
            if isinstance(answer, DataError):
                raise answer
            # A copy: the slot is written again when the next unit is asked for.
            yield DecodedUnit(work.slot(index).copy(), answer.numpy())


def _process_context() -> BaseContext:
    """Not fork: threads of Arrow, and connections to a store, don't live through it."""
    context = multiprocessing.get_context("forkserver")
    # The server imports torch once, and a process starts in milliseconds.
    context.set_forkserver_preload(["__main__", __name__])
    return context


class _Work(Dataset[Any]):
    """Pixels go into slots of shared memory that are used again: fresh memory costs a tenth of decoding.

    Unit i is written into slot i modulo their number. There is one more than units that are asked for at any
    time, so nothing is overwritten before it is copied.
    """

    def __init__(self, decoder: Decoder, units: list[Unit], *, num_slots: int) -> None:
        self.decoder, self.units = decoder, units
        size = decoder.transform.image_size
        most = max(len(unit.numbers_N) for unit in units)
        slots = torch.empty((num_slots, most, size, size, 3), dtype=torch.uint8)
        self.slots: Tensor = slots.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.units)

    def slot(self, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Pixels of this unit [N, H, W, C]."""
        images_NHWC = self.slots[index % len(self.slots)].numpy()
        return images_NHWC[: len(self.units[index].numbers_N)]

    def __getitem__(self, index: int) -> object:
        try:
            return self.decoder.decode_into(self.slot(index), self.units[index])
        except DataError as error:
            # As a value: an exception would come out with the traceback of the other process in its message.
            return error
