"""Finding a streamed data set, and the messages for one that can't be used."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raynas.data.stream import ImageIndex
from raynas.data.stream.images import PIECE_IMAGES, ImageSet
from raynas.errors import DataError

from .stream_sets import (
    CLASSES,
    claim_rows,
    picture_bytes,
    write_shard,
    write_shards,
    write_tar,
    write_tree,
)


def labels_of(images: ImageSet | None) -> list[int]:
    assert images is not None
    return [
        label for numbers in images.pieces(None) for label in images.piece(numbers).read().labels_N.tolist()
    ]


def test_shards_are_found_with_splits_and_classes(tmp_path):
    index = ImageIndex.find(str(write_shards(tmp_path)))
    assert index.validation is not None
    assert (index.train.num_images, index.validation.num_images) == (40, 13)
    assert (index.num_classes, index.class_names) == (3, CLASSES)
    assert labels_of(index.train) == [number % 3 for number in range(40)]


def test_a_tree_is_found_with_splits_and_classes(tmp_path):
    names = [
        f"{split}/{name}/{number}.png" for split in ("train", "val") for name in CLASSES for number in "01"
    ]
    index = ImageIndex.find(str(write_tree(tmp_path, dict.fromkeys(names, picture_bytes()))))
    assert index.validation is not None
    assert (index.train.num_images, index.validation.num_images) == (6, 6)
    assert labels_of(index.validation) == [0, 0, 1, 1, 2, 2]
    assert index.class_names == CLASSES


def test_a_tree_without_splits_is_for_training(tmp_path):
    write_tree(tmp_path, {"bus/0.png": picture_bytes(), "train/1.png": picture_bytes()})
    index = ImageIndex.find(str(tmp_path))
    assert (index.class_names, index.validation) == (("bus", "train"), None)


def test_validation_shards_come_before_test_shards(tmp_path):
    write_shard(tmp_path / "test.parquet", [1])
    write_shard(tmp_path / "val.parquet", [1, 2])
    write_shard(tmp_path / "train.parquet", [1, 2, 3])
    validation = ImageIndex.find(str(tmp_path)).validation
    assert validation is not None and validation.num_images == 2


@pytest.mark.parametrize("is_plain", [True, False])
def test_an_image_column_may_be_called_img_and_be_plain_bytes(tmp_path, is_plain):
    write_shard(tmp_path / "a.parquet", range(7), column="img", is_plain=is_plain)
    images = ImageIndex.find(str(tmp_path)).train
    piece = images.piece(images.pieces(None)[1]).read()
    assert [image.content for image in piece.images] == [picture_bytes(5), picture_bytes(6)]


def test_large_row_groups_are_split_evenly(tmp_path):
    write_shard(tmp_path / "a.parquet", range(PIECE_IMAGES + 2), rows_per_group=10**6)
    pieces = ImageIndex.find(str(tmp_path)).train.pieces(None)
    assert [len(piece) for piece in pieces] == [PIECE_IMAGES // 2 + 1] * 2
    assert np.concatenate(pieces).tolist() == list(range(PIECE_IMAGES + 2))


def test_without_names_the_number_of_classes_is_that_of_the_labels(tmp_path):
    write_shard(tmp_path / "a.parquet", range(7), classes=None)
    index = ImageIndex.find(str(tmp_path))
    assert (index.num_classes, index.class_names) == (3, None)


def test_a_broken_shard_is_named(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "data" / "train-00001-of-00003.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"train-00001-of-00003.*download it again.*skip_broken"):
        ImageIndex.find(str(tmp_path))


def test_a_broken_shard_is_left_out_if_asked(tmp_path, caplog):
    write_shards(tmp_path)
    (tmp_path / "data" / "train-00001-of-00003.parquet").write_bytes(b"PAR1 torn")
    with caplog.at_level(logging.WARNING):
        index = ImageIndex.find(str(tmp_path), skip_broken=True)
    assert index.train.num_images == 40 - 17
    assert "train-00001-of-00003" in caplog.text


def read_first_piece(folder: Path) -> None:
    images = ImageIndex.find(str(folder)).train
    images.piece(images.pieces(None)[0]).read()


def test_a_row_group_broken_inside_is_named(tmp_path):
    file = write_shard(tmp_path / "a.parquet", range(40))
    content = bytearray(file.read_bytes())
    content[4:300] = bytes(296)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"Row group 0 of .*a\.parquet can't be read"):
        read_first_piece(tmp_path)


@pytest.mark.parametrize("num_rows", [-1, 9])
def test_row_groups_that_are_not_the_files_rows_are_a_broken_shard(tmp_path, num_rows):
    file = write_shard(tmp_path / "a.parquet", range(7), rows_per_group=10)
    claim_rows(file, num_rows)
    message = rf"a\.parquet can't be read .* row groups have {num_rows} rows, but 7 are declared"
    with pytest.raises(DataError, match=message):
        ImageIndex.find(str(tmp_path))


def test_a_row_group_with_fewer_rows_than_all_of_the_footer_says_is_named(tmp_path):
    file = write_shard(tmp_path / "a.parquet", range(7), rows_per_group=10)
    claim_rows(file, 9)
    claim_rows(file, 9, in_all=True)
    assert ImageIndex.find(str(tmp_path)).train.num_images == 9
    with pytest.raises(DataError, match=r"Row group 0 of .*a\.parquet .*download"):
        read_first_piece(tmp_path)


def test_more_rows_than_bytes_are_a_broken_shard(tmp_path):
    num_rows = 100_000
    file = write_shard(
        tmp_path / "a.parquet",
        range(num_rows),
        rows_per_group=num_rows,
        contents=[None] * num_rows,
        labels=[0] * num_rows,
    )
    message = rf"it declares {num_rows} rows, but has only {file.stat().st_size} bytes"
    with pytest.raises(DataError, match=message):
        ImageIndex.find(str(tmp_path))


@pytest.mark.parametrize(("classes", "message"), [(CLASSES, "Row group 0 of .*"), (None, "The shard .*")])
def test_a_footer_of_which_arrow_makes_an_exception_ends_no_process(tmp_path, classes, message):
    """Arrow throws a C++ exception past its Python bindings when the column's metadata are read."""
    file = write_shard(tmp_path / "a.parquet", range(5), classes=classes)
    content = file.read_bytes()
    # In the size statistics of the label column, an empty list of integers becomes a list of four.
    known, claim = b"\x3c\x29\x06", b"\x3c\x29\x46"
    assert content.count(known) == 1
    file.write_bytes(content.replace(known, claim))
    with pytest.raises(DataError, match=message + r"a\.parquet can't be read.* histogram size mismatch"):
        read_first_piece(tmp_path)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (("cat", "dog"), "Class 2 .* is 'owl' in training and 'none' in validation"),
        (("cat", "owl", "dog"), "Class 1 .* is 'dog' in training and 'owl' in validation"),
    ],
)
def test_splits_with_other_classes_are_refused(tmp_path, validation, message):
    write_shard(tmp_path / "train.parquet", range(6))
    write_shard(tmp_path / "validation.parquet", [0, 1], classes=validation)
    with pytest.raises(DataError, match=message):
        ImageIndex.find(str(tmp_path))


@pytest.mark.parametrize(("label", "said"), [(3, "3"), (None, "null"), (-1, "-1")])
def test_a_wrong_label_is_named(tmp_path, label, said):
    write_shard(tmp_path / "a.parquet", range(3), labels=[0, label, 2])
    images = ImageIndex.find(str(tmp_path)).train
    with pytest.raises(DataError, match=f"Row 1 .* has the label {said}; allowed are 0 to 2"):
        images.piece(np.arange(3)).read()


def test_a_label_that_needs_more_than_63_bits_is_named(tmp_path):
    file = write_shard(tmp_path / "a.parquet", range(3))
    table = pq.read_table(file)
    labels = pa.array([0, 2**63, 2], pa.uint64())
    pq.write_table(table.set_column(0, "label", labels), file)
    with pytest.raises(DataError, match=f"Row 1 .* has the label {2**63}; allowed are 0 to 2"):
        read_first_piece(tmp_path)


def test_an_image_that_is_not_in_the_file_is_named(tmp_path):
    write_shard(tmp_path / "a.parquet", range(7), contents=[picture_bytes()] * 6 + [None])
    images = ImageIndex.find(str(tmp_path)).train
    with pytest.raises(DataError, match=r"Row 6 .* has no image bytes"):
        images.piece(np.array([5, 6])).read()


def write_text_shard(path: Path) -> None:
    pq.write_table(pa.table({"picture": ["a.png"], "label": [0]}), path)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda root: (root / "imagenet").mkdir(), "imagenett", "Did you mean 'imagenet'"),
        (lambda root: (root / "none").mkdir(), "none", "neither Parquet files nor images"),
        (lambda root: write_tree(root / "flat", {"a.jpg": b""}), "flat", "has no class"),
        (lambda root: write_tar(root / "a.tar", {}), "a.tar", "raynas convert"),
        (lambda root: write_shard(root / "p" / "test.parquet", [0]), "p", "Training data is needed"),
        (lambda root: write_text_shard(root / "q.parquet"), "q.parquet", "no image column"),
        (lambda root: write_tree(root / "one", {"a/0.png": b""}), "one", "at least 2"),
    ],
)
def test_what_is_no_data_set_is_explained(tmp_path, make, name, message):
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        ImageIndex.find(str(tmp_path / name))


def test_an_unknown_scheme_is_explained():
    with pytest.raises(DataError, match=r"'ftp'.*s3://BUCKET/PATH"):
        ImageIndex.find("ftp://host/data")


def test_tiny_imagenet_is_found(real_data: Path):
    index = ImageIndex.find(str(real_data / "tiny_imagenet"))
    assert index.validation is not None
    assert (index.train.num_images, index.validation.num_images, index.num_classes) == (4_000, 10_000, 200)
