"""Streamed images decoded by Ray Data, beside a pool that holds nearly all CPUs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from raynas.data.stream import EvalTransform, ImageIndex, Shuffle, TrainTransform, local_batches
from raynas.engine.pool import ChildPool
from raynas.engine.ray_batches import interleaved, ray_batches
from raynas.errors import DataError, DoesNotFit

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

TINY_TASK = 0.01


@pytest.mark.parametrize(("num_units", "num_tasks", "per_task"), [(8, 2, 2), (7, 3, 2), (5, 8, 3), (1, 1, 1)])
def test_tasks_take_turns_and_every_unit_is_taken_once(num_units, num_tasks, per_task):
    order = interleaved(num_units, num_tasks, per_task)
    assert sorted(order) == list(range(num_units))
    assert order[:2] == [0, num_tasks][: len(order)] or num_units <= num_tasks


SHUFFLE = Shuffle(seed=0, window=16)


def write_images(file: Path, *, last: bytes | None = None) -> Path:
    rng = np.random.default_rng(0)
    contents = []
    for _ in range(40):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(stream, "PNG")
        contents.append(stream.getvalue())
    contents[-1] = last or contents[-1]
    pq.write_table(pa.table({"image": contents, "label": [n % 4 for n in range(40)]}), file, row_group_size=7)
    return file


@pytest.mark.parametrize("images_per_task", [1, 20])
def test_ray_gives_the_batches_that_a_single_process_gives(
    pool: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images_per_task: int
):
    monkeypatch.setattr("raynas.engine.ray_batches._IMAGES_PER_TASK", images_per_task)
    images = ImageIndex.find(str(write_images(tmp_path / "a.parquet"))).train
    options = {"epoch": 1, "batch_size": 4, "rank": 1, "num_ranks": 2}
    here = local_batches(images, TrainTransform(16), shuffle=SHUFFLE, num_processes=0).batches(**options)
    there = ray_batches(images, TrainTransform(16), shuffle=SHUFFLE, cpus_per_task=TINY_TASK).batches(
        **options
    )
    for ours, theirs in zip(here, there, strict=True):
        assert torch.equal(ours.images_NCHW, theirs.images_NCHW)
        assert torch.equal(ours.labels_N, theirs.labels_N)
        assert ours.position == theirs.position


def test_an_epoch_may_be_abandoned_and_another_started(pool: ChildPool, tmp_path: Path):
    images = ImageIndex.find(str(write_images(tmp_path / "a.parquet"))).train
    source = ray_batches(images, EvalTransform(8), shuffle=None, cpus_per_task=TINY_TASK)
    left = source.batches(epoch=0, batch_size=4)
    next(left)
    left.close()
    assert sum(len(batch.labels_N) for batch in source.batches(epoch=0, batch_size=16)) == 40


def test_a_corrupt_image_in_a_task_is_one_sentence(pool: ChildPool, tmp_path: Path):
    images = ImageIndex.find(str(write_images(tmp_path / "a.parquet", last=b"none"))).train
    source = ray_batches(images, EvalTransform(8), shuffle=None, cpus_per_task=TINY_TASK)
    with pytest.raises(DataError, match=r"^The image in row 39 .* Replace or remove it\.$"):
        list(source.batches(epoch=0, batch_size=8))


def test_tasks_for_which_no_cpu_is_left_are_refused(pool: ChildPool, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("raynas.engine.ray_batches._FIRST_TASK_TIMEOUT_SECONDS", 1.0)
    images = ImageIndex.find(str(write_images(tmp_path / "a.parquet"))).train
    with pytest.raises(DoesNotFit, match="are free"):
        next(ray_batches(images, EvalTransform(8), shuffle=None).batches(epoch=0, batch_size=8))
