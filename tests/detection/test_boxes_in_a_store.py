"""Pictures and boxes in an object store."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raynas.detection.data.batches import evaluation_batches
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.convert import convert_detection
from raynas.detection.data.dataset import open_detection
from raynas.errors import DataError

from .coco_sets import write_coco


@pytest.mark.parametrize("is_converted", [False, True])
def test_a_store_has_the_same_boxes_and_pictures_as_the_disk(tmp_path, store, is_converted):
    write_coco(tmp_path / "set")
    name = "set"
    if is_converted:
        name = "shards"
        convert_detection(
            DetectionDataConfig(source=str(tmp_path / "set")), tmp_path / name, shard_bytes=10**9
        )
    sources = (str(tmp_path / name), f"s3://right:secret@bucket/{name}{store}")
    here, there = (open_detection(DetectionDataConfig(source=source)).train for source in sources)
    assert here is not None and there is not None and here.picture_ids == there.picture_ids
    np.testing.assert_array_equal(here.boxes.boxes_N4, there.boxes.boxes_N4)
    ours, theirs = (list(evaluation_batches(split, num_processes=0).batches(0, 2)) for split in (here, there))
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.images, other.images, strict=True))


def test_files_in_a_store_may_be_given(tmp_path, store):
    root = write_coco(tmp_path / "set")
    (root / "annotations" / "instances_train2017.json").rename(root / "annotations" / "mine.json")
    config = DetectionDataConfig(
        source=f"s3://right:secret@bucket/set{store}",
        train_annotations="annotations/mine.json",
        train_pictures="train2017",
    )
    train = open_detection(config).train
    assert train is not None and train.num_pictures == 4
    (root / "train2017" / "0001.png").unlink()
    with pytest.raises(DataError, match=r"0001\.png \(id 101\)") as refused:
        open_detection(config)
    assert "secret" not in str(refused.value)
