"""Decodes images in processes of this machine, without Ray.

The processes stay alive between epochs and serve both training and validation, because starting one takes a
second.
"""

# Shapes: S slots of shared memory, N images of a unit, H x W pixels, C channels.

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from raynas.data.stream.batches import PlannedBatches
from raynas.data.stream.decoding import DecodedUnit, Decoder, Unit
from raynas.data.stream.images import ImageSet
from raynas.data.stream.order import Shuffle
from raynas.data.stream.transforms import Transform
from raynas.errors import TrainingFailed

_UNITS_AHEAD = 2
"""Units per process that are decoded ahead: one is in the works while another waits to be taken."""


def local_batches(
    images: ImageSet, transform: Transform, *, shuffle: Shuffle | None, num_processes: int | None = None
) -> PlannedBatches:
    """ImageBatches that are decoded in processes of this machine.

    Args:
        shuffle: how training images are mixed; None for validation.
        num_processes: number of decoding processes of this rank. Defaults to one per core; 0 decodes in this
            process.
    """
    count = (os.cpu_count() or 1) if num_processes is None else num_processes
    return PlannedBatches(images, transform, shuffle, LocalProcesses(count))


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """A DecodeAll in processes of this machine."""

    num_processes: int

    def __call__(self, decoder: Decoder, units: list[Unit]) -> Iterator[DecodedUnit]:
        """See DecodeAll.

        Raises:
            TrainingFailed: a process was killed.
        """
        if not self.num_processes or not units:
            yield from map(decoder, units)
            return
        try:
            num_slots = self.num_processes * _UNITS_AHEAD
            yield from _decoded(process_pool(self.num_processes), decoder, units, num_slots)
        except BrokenProcessPool as error:
            raise decoding_ended(self.num_processes) from error


@functools.cache
def process_pool(num_processes: int) -> ProcessPoolExecutor:
    """The pool of decoding processes, which live until this process ends."""
    # Not fork: Arrow's threads and connections to an object store don't survive it.
    context: BaseContext = multiprocessing.get_context("forkserver")
    return ProcessPoolExecutor(num_processes, context, initializer=_leave_with_parent)


def decoding_ended(num_processes: int) -> TrainingFailed:
    """The error for a pool of which a process was killed; the next training gets a new pool."""
    process_pool.cache_clear()
    return TrainingFailed(
        f"One of the {num_processes} processes that decode images was killed, most likely because memory ran "
        "out. Lower data.processes, or give the machine more memory (a container: a larger /dev/shm)."
    )


def _leave_with_parent() -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave() -> None:
        # A parent that is killed can't shut its pool down; without this its processes would wait forever.
        parent.join()
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


def _decoded(
    pool: ProcessPoolExecutor, decoder: Decoder, units: list[Unit], num_slots: int
) -> Iterator[DecodedUnit]:
    """Yields the units in order. Their pixels pass through reused slots of shared memory.

    Fresh memory for each unit would cost a tenth of the time of decoding.
    """
    num_slots = min(num_slots, len(units))
    size = decoder.transform.image_size
    shape = (num_slots, max(len(unit.numbers_N) for unit in units), size, size, 3)
    memory = SharedMemory(create=True, size=math.prod(shape))
    slots_SNHWC = np.ndarray(shape, np.uint8, memory.buf)

    def submit(index: int) -> Future[NDArray[np.int64]]:
        return pool.submit(_decode, decoder, units[index], memory.name, shape, index % num_slots)

    waiting = deque(map(submit, range(num_slots)))
    try:
        for index, unit in enumerate(units):
            labels_N = waiting.popleft().result()
            # Copied, because the slot goes to another unit next.
            images_NHWC = slots_SNHWC[index % num_slots, : len(unit.numbers_N)].copy()
            if index + num_slots < len(units):
                waiting.append(submit(index + num_slots))
            yield DecodedUnit(images_NHWC, labels_N)
    finally:
        # Processes may still be writing into the slots: the memory goes away only when all of them are done.
        for future in waiting:
            future.cancel()
        wait(waiting)
        del slots_SNHWC
        memory.close()
        memory.unlink()


def _decode(
    decoder: Decoder, unit: Unit, memory: str, shape: tuple[int, ...], slot: int
) -> NDArray[np.int64]:
    slots_SNHWC = np.ndarray(shape, np.uint8, _attached(memory).buf)
    return decoder.decode_into(slots_SNHWC[slot, : len(unit.numbers_N)], unit)


# Two, because training and validation each have one block of shared memory at a time.
@functools.lru_cache(2)
def _attached(name: str) -> SharedMemory:
    return SharedMemory(name)
