"""Batches from shards, decoded in this process and in others."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from raynas.data.decode import EncodedImage
from raynas.data.stream import EvalTransform, ImageIndex, PixelBatch, Shuffle, TrainTransform, local_batches
from raynas.errors import DataError, TrainingFailed

from .stream_sets import number_of, picture_bytes, write_shard, write_shards

SHUFFLE = Shuffle(seed=1, window=12)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ImageIndex:
    return ImageIndex.find(str(write_shards(tmp_path_factory.mktemp("shards"))))


def numbers(batches: Iterable[PixelBatch]) -> list[int]:
    return [
        number_of(image_CHW.permute(1, 2, 0).numpy()) for batch in batches for image_CHW in batch.images_NCHW
    ]


def test_validation_gives_every_image_in_order_with_its_label(index):
    loader = local_batches(index.validation, EvalTransform(8, 1.0), shuffle=None, num_processes=0)
    batches = list(loader.batches(epoch=0, batch_size=5))
    assert numbers(batches) == list(range(40, 53))
    assert torch.cat([batch.labels_N for batch in batches]).tolist() == [n % 3 for n in range(40, 53)]
    assert len(batches) == loader.num_batches(batch_size=5)


def test_a_batch_is_uint8_in_channels_last(index):
    loader = local_batches(index.train, TrainTransform(8), shuffle=SHUFFLE, num_processes=0)
    batch = next(loader.batches(epoch=0, batch_size=4))
    assert (batch.images_NCHW.shape, batch.images_NCHW.dtype) == ((4, 3, 8, 8), torch.uint8)
    assert batch.images_NCHW.is_contiguous(memory_format=torch.channels_last)
    assert (batch.labels_N.dtype, batch.position) == (torch.int64, 4)


def test_labels_stay_with_their_images_in_training(index):
    loader = local_batches(index.train, TrainTransform(8), shuffle=SHUFFLE, num_processes=0)
    batches = list(loader.batches(epoch=0, batch_size=8))
    assert sorted(numbers(batches)) == list(range(40))
    assert [n % 3 for n in numbers(batches)] == torch.cat([batch.labels_N for batch in batches]).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_the_number_of_processes_changes_nothing(tmp_path, num_processes):
    # Many more units than slots of shared memory, so that slots are reused.
    contents = [picture_bytes(number, size=40, kind="JPEG") for number in range(60)]
    write_shard(tmp_path / "a.parquet", range(60), contents=contents, rows_per_group=3)
    images = ImageIndex.find(str(tmp_path)).train
    here, there = (
        list(
            local_batches(
                images, TrainTransform(16, color_jitter=0.4), shuffle=SHUFFLE, num_processes=count
            ).batches(epoch=0, batch_size=4)
        )
        for count in (0, num_processes)
    )
    assert all(torch.equal(a.images_NCHW, b.images_NCHW) for a, b in zip(here, there, strict=True))
    assert all(torch.equal(a.labels_N, b.labels_N) for a, b in zip(here, there, strict=True))


def test_a_resumed_epoch_gives_the_same_pixels(index):
    loader = local_batches(index.train, TrainTransform(8), shuffle=SHUFFLE, num_processes=0)
    whole = list(loader.batches(epoch=0, batch_size=8))
    rest = list(loader.batches(epoch=0, batch_size=8, start=whole[1].position))
    assert all(torch.equal(a.images_NCHW, b.images_NCHW) for a, b in zip(whole[2:], rest, strict=True))


def test_a_corrupt_image_in_another_process_is_one_sentence(tmp_path):
    contents = [picture_bytes(number) for number in range(9)] + [b"no image"]
    write_shard(tmp_path / "a.parquet", range(10), contents=contents)
    images = ImageIndex.find(str(tmp_path)).train
    loader = local_batches(images, EvalTransform(8), shuffle=None, num_processes=1)
    with pytest.raises(DataError, match=r"^The image in row 9 .* Replace or remove it\.$"):
        list(loader.batches(epoch=0, batch_size=5))


@dataclasses.dataclass(frozen=True)
class Killed(EvalTransform):
    """Kills its process, as the kernel does when memory runs out."""

    def __call__(self, encoded: EncodedImage, rng: np.random.Generator) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


@pytest.mark.slow
def test_a_killed_process_is_named_and_the_next_epoch_has_new_ones(index):
    loader = local_batches(index.train, Killed(8), shuffle=None, num_processes=1)
    with pytest.raises(TrainingFailed, match=r"1 processes that decode images was killed.* Lower"):
        list(loader.batches(epoch=0, batch_size=8))
    loader = local_batches(index.train, EvalTransform(8), shuffle=None, num_processes=1)
    assert sorted(numbers(loader.batches(epoch=0, batch_size=8))) == list(range(40))


@pytest.mark.slow
def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    write_shard(tmp_path / "a.parquet", range(8), rows_per_group=2)
    program = f"""
import os, signal
from raynas.data.stream import EvalTransform, ImageIndex, local_batches
from raynas.data.stream.local import process_pool
if __name__ == "__main__":
    images = ImageIndex.find({str(tmp_path)!r}).train
    loader = local_batches(images, EvalTransform(8), shuffle=None, num_processes=1)
    list(loader.batches(epoch=0, batch_size=4))
    print(*process_pool(1)._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "program.py").write_text(program)
    # Returns only when the last process that shares this standard output has ended.
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    assert len(done.stdout.split()) == 1


def test_an_epoch_that_is_over_gives_no_batches(index):
    loader = local_batches(index.train, TrainTransform(8), shuffle=SHUFFLE, num_processes=0)
    assert list(loader.batches(epoch=0, batch_size=8, start=40)) == []


def test_tiny_imagenet_streams(real_data: Path):
    images = ImageIndex.find(str(real_data / "tiny_imagenet")).train
    loader = local_batches(images, TrainTransform(64), shuffle=Shuffle(0, 256), num_processes=0)
    batch = next(loader.batches(epoch=0, batch_size=32))
    assert batch.images_NCHW.shape == (32, 3, 64, 64)
