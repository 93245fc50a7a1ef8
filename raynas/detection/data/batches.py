"""Batches of pictures with boxes, decoded in other processes while a detector computes."""

# Shapes: P pictures of a data set, B pictures of a batch, C channels, H x W pixels, N boxes of a picture.

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from raynas.data.stream.local import decoding_ended, process_pool
from raynas.data.stream.order import Shuffle, num_batches
from raynas.detection.data.dataset import DetectionSet, TrainingSet
from raynas.detection.data.examples import UNCHANGED, Augmentation, DecodedExample, Example, decode_example
from raynas.detection.data.first_look import declared_size
from raynas.detection.data.order import ChosenPictures, PicturePlan, plan_pictures
from raynas.detection.data.pictures import Mode, Numbers, Picture

Target = dict[str, Tensor]
"""The target that torchvision's detectors take: boxes, float32 [N, 4] left, top, right, bottom in pixels of
the image, and labels, int64 [N] from 1.
"""

_READ_AHEAD = 2
"""Units that are read at a time: one that is used, and the next one."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectionBatch:
    """Pictures of one step of one rank, each of its own size.

    Args:
        images: float [C, H, W] in [0, 1], RGB or grey.
        targets: see Target.
        numbers: int64 [B], the pictures' numbers in their DetectionSet.
        position: number of pictures of this epoch that all ranks have taken so far; the `start` that resumes
            the epoch after this batch.
    """

    images: list[Tensor]
    targets: list[Target]
    numbers: Tensor
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class DetectionBatches:
    """Batches of a split; ranks call it independently, without communicating.

    Args:
        split: its boxes become the targets, but for crowds.
        is_chosen_P: the pictures that come.
        shuffle: None for evaluation.
        num_processes: number of decoding processes of this rank; 0 decodes in this process.
    """

    split: DetectionSet
    is_chosen_P: np.ndarray[tuple[int], np.dtype[np.bool_]]
    augmentation: Augmentation
    shuffle: Shuffle | None
    num_processes: int
    device: str = "cpu"
    mode: Mode = "RGB"

    @property
    def num_pictures(self) -> int:
        """Number of pictures that come in an epoch, but for the rest that makes no batch."""
        return int(self.is_chosen_P.sum())

    def num_batches(self, batch_size: int, *, num_ranks: int = 1) -> int:
        """Number of batches of an epoch; in evaluation a rank may have one less."""
        return num_batches(
            self.num_pictures,
            batch_size=batch_size,
            num_ranks=num_ranks,
            drop_last=self.shuffle is not None,
        )

    def batches(
        self, epoch: int, batch_size: int, *, rank: int = 0, num_ranks: int = 1, start: int = 0
    ) -> Iterator[DetectionBatch]:
        """Yields the batches of one rank; see plan_pictures for their order and for `start`.

        Raises:
            DataError: there are too few pictures, or one can't be decoded; the message names it.
            TrainingFailed: a decoding process was killed.
        """
        plan = plan_pictures(
            ChosenPictures(self.split.pictures, self.is_chosen_P),
            self.split.sizes_P2,
            shuffle=self.shuffle,
            epoch=epoch,
            batch_size=batch_size,
            rank=rank,
            num_ranks=num_ranks,
            start=start,
        )
        num_ahead = 2 * max(batch_size, self.num_processes)
        decoded = self._decoded(self._examples(plan, epoch), num_ahead=num_ahead)
        for numbers_B, position in zip(plan.batches, plan.positions, strict=True):
            examples = [next(decoded) for _ in numbers_B]
            yield DetectionBatch(
                images=[self._image(example) for example in examples],
                targets=[self._target(example) for example in examples],
                numbers=torch.from_numpy(numbers_B),
                position=position,
            )

    def _examples(self, plan: PicturePlan, epoch: int) -> Iterator[Example]:
        """The pictures of all batches in order, before they are decoded."""
        seed = self.shuffle.seed if self.shuffle else 0
        boxes = self.split.boxes
        for number, picture in _fetched(self.split, plan):
            rows = boxes.of_picture(number)
            is_object_N = ~boxes.is_crowd_N[rows]
            yield Example(
                picture=picture,
                own=self.split.picture_ids[number],
                declared=declared_size(self.split.sizes_P2, number),
                boxes_N4=boxes.boxes_N4[rows][is_object_N],
                labels_N=boxes.labels_N[rows][is_object_N],
                # Of the picture's number, so that it doesn't matter which rank or process decodes it.
                seed=(seed, epoch, number),
            )

    def _decoded(self, examples: Iterator[Example], *, num_ahead: int) -> Iterator[DecodedExample]:
        if not self.num_processes:
            for example in examples:
                yield decode_example(example, self.augmentation, self.mode)
            return
        pool = process_pool(self.num_processes)
        waiting: deque[Future[DecodedExample]] = deque()
        try:
            for example in examples:
                waiting.append(pool.submit(decode_example, example, self.augmentation, self.mode))
                if len(waiting) >= num_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise decoding_ended(self.num_processes) from error
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)

    def _image(self, example: DecodedExample) -> Tensor:
        # As bytes to the device, a quarter of the size of floats.
        pixels_CHW = torch.from_numpy(example.pixels_HWC).to(self.device).permute(2, 0, 1)
        return pixels_CHW.float().div_(255)

    def _target(self, example: DecodedExample) -> Target:
        return {
            "boxes": torch.from_numpy(example.boxes_N4).to(self.device),
            "labels": torch.from_numpy(example.labels_N.astype(np.int64)).to(self.device),
        }


def training_batches(
    chosen: TrainingSet,
    augmentation: Augmentation,
    *,
    seed: int,
    window: int = 1024,
    num_processes: int | None = None,
    device: str = "cpu",
    num_channels: int = 3,
) -> DetectionBatches:
    """Batches for training.

    Args:
        window: pictures of Parquet files are moved by up to this many places, and as many are held encoded.
        num_processes: defaults to one per core.
        num_channels: 3 for RGB or 1 for grey, as the detector's network takes it.
    """
    is_chosen_P = np.zeros(chosen.split.num_pictures, dtype=bool)
    is_chosen_P[chosen.numbers] = True
    shuffle = Shuffle(seed, window)
    return DetectionBatches(
        chosen.split,
        is_chosen_P,
        augmentation,
        shuffle,
        _processes(num_processes),
        device,
        _mode(num_channels),
    )


def evaluation_batches(
    split: DetectionSet,
    *,
    numbers: Numbers | None = None,
    num_processes: int | None = None,
    device: str = "cpu",
    num_channels: int = 3,
) -> DetectionBatches:
    """Batches for evaluation: every picture once, on one rank, in its own size and in the order of the files.

    Args:
        numbers: the pictures that come; None for all.
        num_channels: as in training_batches.
    """
    is_chosen_P = np.ones(split.num_pictures, dtype=bool)
    if numbers is not None:
        is_chosen_P[:] = False
        is_chosen_P[numbers] = True
    processes, mode = _processes(num_processes), _mode(num_channels)
    return DetectionBatches(split, is_chosen_P, UNCHANGED, None, processes, device, mode)


def _processes(count: int | None) -> int:
    return (os.cpu_count() or 1) if count is None else count


def _mode(num_channels: int) -> Mode:
    assert num_channels in (1, 3)
    return "RGB" if num_channels == 3 else "L"


def _fetched(split: DetectionSet, plan: PicturePlan) -> Iterator[tuple[int, Picture]]:
    """The pictures of all batches in order; units are read by threads, ahead of their use."""
    reading: deque[Future[list[Picture]]] = deque()
    held: dict[int, Picture] = {}
    with ThreadPoolExecutor(_READ_AHEAD) as threads:
        unread, unused = iter(plan.units), iter(plan.units)
        for batch_B in plan.batches:
            for number in batch_B.tolist():
                while number not in held:
                    ahead = itertools.islice(unread, _READ_AHEAD - len(reading))
                    reading.extend([threads.submit(split.pictures.fetch, unit) for unit in ahead])
                    held.update(zip(next(unused).tolist(), reading.popleft().result(), strict=True))
                yield number, held.pop(number)
