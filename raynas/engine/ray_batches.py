"""Decodes streamed images in Ray Data tasks, on any node of the cluster: `data.loader=ray`.

The default loader decodes in processes on the node that trains, and is faster where that node has CPUs
enough. This one is for clusters with few GPU nodes beside many CPU nodes, whose CPUs then decode.
"""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data

from raynas.data.stream.batches import PlannedBatches
from raynas.data.stream.decoding import DecodedUnit, Decoder, Unit
from raynas.data.stream.images import ImageSet
from raynas.data.stream.order import Shuffle
from raynas.data.stream.transforms import Transform
from raynas.engine.cluster import check_free
from raynas.errors import DataError

_FIRST_TASK_TIMEOUT_SECONDS = 120.0
"""How long the first task may wait for a CPU."""

_IMAGES_PER_TASK = 768
"""About a second of decoding: long enough that the pause between two tasks of a core doesn't matter."""


def ray_batches(
    images: ImageSet,
    transform: Transform,
    *,
    shuffle: Shuffle | None,
    num_tasks: int | None = None,
    cpus_per_task: float = 1.0,
) -> PlannedBatches:
    """ImageBatches decoded in tasks of the connected Ray; it also works inside a worker of Ray Train.

    Every rank has its own Ray data set, with its own share of the epoch's plan. Ray Data's streaming_split
    would give blocks to whichever rank asks first, and batches would differ from run to run.

    Args:
        shuffle: order of the training images; None for validation.
        num_tasks: number of tasks that decode for one rank at the same time; None means one per CPU of the
            cluster.
        cpus_per_task: CPUs that Ray reserves for a task.
    """
    return PlannedBatches(images, transform, shuffle, RayTasks(num_tasks, cpus_per_task))


@dataclass(frozen=True, slots=True)
class RayTasks:
    """A DecodeAll. Ray Data starts tasks as units are taken, which bounds the memory of decoded images."""

    num_tasks: int | None
    cpus_per_task: float

    def __call__(self, decoder: Decoder, units: list[Unit]) -> Iterator[DecodedUnit]:
        """See DecodeAll.

        Raises:
            DoesNotFit: there is no room for a single task beside what runs already.
            DataError: a file or an image is corrupt; names it.
        """
        if not units:
            return
        _check_schedulable(self.cpus_per_task)
        early: dict[int, DecodedUnit] = {}
        due = 0
        # Units are taken as they come and put in order here: Ray Data's own ordering would stop the tasks
        # that are ahead.
        for row in self._decoded(decoder, units).iter_batches(batch_size=1, batch_format="numpy"):
            # Looked at first: a row with an error has no images and the index -1.
            if row["error"][0]:
                raise DataError(row["error"][0])
            early[int(row["index"][0])] = DecodedUnit(row["images"][0], row["labels"][0])
            while due in early:
                yield early.pop(due)
                due += 1

    def _decoded(self, decoder: Decoder, units: list[Unit]) -> ray.data.Dataset:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # Pickled, because Ray Data would take the object apart into columns.
        units_per_task = math.ceil(_IMAGES_PER_TASK / max(len(unit.numbers_N) for unit in units))
        order = interleaved(len(units), self._num_tasks(), units_per_task)
        # Results come in any order; each unit carries its index, by which they are put in order again.
        items = [{"index": index, "unit": pickle.dumps(units[index])} for index in order]
        dataset = ray.data.from_items(items, override_num_blocks=math.ceil(len(units) / units_per_task))
        context = dataset.context
        context.enable_progress_bars = False
        # Makes each unit a block of its own, so that the first is available before its task has ended.
        context.target_max_block_size = 1
        return dataset.map_batches(
            _decode,  # type: ignore[arg-type]
            fn_kwargs={"decoder": decoder},
            batch_size=1,
            num_cpus=self.cpus_per_task,
            compute=ray.data.TaskPoolStrategy(self.num_tasks),
        )

    def _num_tasks(self) -> int:
        cpus = ray.cluster_resources().get("CPU", 1.0)
        return self.num_tasks or max(int(cpus / self.cpus_per_task), 1)


def interleaved(num_units: int, num_tasks: int, units_per_task: int) -> list[int]:
    """The order in which units are given to tasks, dealt like cards to the tasks that run at the same time.

    All tasks then work on the units that are needed next, and few are decoded early: of units 0 to 7, two
    tasks at a time with two units each get 0 2, 1 3, 4 6, 5 7.
    """
    together = num_tasks * units_per_task
    groups = (range(first, min(first + together, num_units)) for first in range(0, num_units, together))
    return [unit for group in groups for task in range(num_tasks) for unit in group[task::num_tasks]]


def _check_schedulable(cpus: float) -> None:
    """Runs an empty task, as the CPUs that Ray calls free change with the tasks of other ranks."""
    probe = ray.remote(num_cpus=cpus)(_nothing).remote()
    done, _ = ray.wait([probe], timeout=_FIRST_TASK_TIMEOUT_SECONDS)
    if not done:
        ray.cancel(probe)
        check_free(cpus, 0.0)


def _nothing() -> None:
    pass


def _decode(rows: dict[str, Any], *, decoder: Decoder) -> dict[str, Any]:
    try:
        decoded = decoder(pickle.loads(rows["unit"][0]))
    except DataError as error:
        # Returned, not raised: Ray Data passes on the traceback of an exception, but not the exception.
        return {"images": np.empty((1, 0)), "labels": np.empty((1, 0)), "error": [str(error)], "index": [-1]}
    images_1NHWC, labels_1N = decoded.images_NHWC[np.newaxis], decoded.labels_N[np.newaxis]
    return {"images": images_1NHWC, "labels": labels_1N, "error": [""], "index": rows["index"]}
