"""Shards in an object store."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raynas.data.stream import EvalTransform, ImageIndex, local_batches
from raynas.errors import DataError

from .stream_sets import picture_bytes, write_shards, write_tree


def test_shards_stream_from_a_store_as_from_the_disk(tmp_path: Path, store: str):
    write_shards(tmp_path / "set")
    here = ImageIndex.find(str(tmp_path / "set"))
    there = ImageIndex.find(f"s3://right:secret@bucket/set{store}")
    assert (there.train.num_images, there.class_names) == (here.train.num_images, here.class_names)
    batches = [
        list(local_batches(index.train, EvalTransform(8), shuffle=None, num_processes=0).batches(
            epoch=0, batch_size=20
        ))
        for index in (here, there)
    ]  # fmt: skip
    assert len(batches[0]) == 2
    assert all(torch.equal(a.images_NCHW, b.images_NCHW) for a, b in zip(*batches, strict=True))


def test_a_tree_is_found_in_a_store(tmp_path: Path, store: str):
    write_tree(tmp_path / "set", {f"train/{name}/0.png": picture_bytes() for name in ("a", "b", ".c")})
    index = ImageIndex.find(f"s3://right:secret@bucket/set{store}")
    assert (index.train.num_images, index.class_names) == (2, ("a", "b"))


def test_a_store_that_refuses_is_explained_without_the_password(tmp_path: Path, store: str):
    write_shards(tmp_path / "set")
    with pytest.raises(DataError, match=r"ACCESS_DENIED.*give credentials: AWS_ACCESS_KEY_ID") as caught:
        ImageIndex.find(f"s3://wrong:secret@bucket/set{store}")
    assert "secret" not in str(caught.value)


def test_a_folder_that_is_not_in_the_store_is_named(tmp_path: Path, store: str):
    with pytest.raises(DataError, match="There is nothing at 's3://bucket/sett"):
        ImageIndex.find(f"s3://right:secret@bucket/sett{store}")
