"""Parquet files in the Hugging Face layout: which files are read, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raynas.data import DataConfig, ImageSplit, load_split
from raynas.data.parquet import find_shards
from raynas.errors import DataError
from tests.data.builders import NUM_IMAGES, encoded, picture, pictures, write_parquet
from tests.data.stream.stream_sets import claim_rows, write_shard


def split(source: Path, **options: object) -> ImageSplit:
    return load_split(DataConfig.model_validate({"source": str(source), **options}), seed=0)


def with_label(row: int, label: object) -> list[object]:
    labels: list[object] = [index % 2 for index in range(NUM_IMAGES)]
    labels[row] = label
    return labels


@pytest.mark.parametrize("image_column", ["img", "image"])
def test_both_image_columns_are_read(tmp_path, image_column):
    found = split(write_parquet(tmp_path / "pets" / "a.parquet", image_column=image_column))
    assert (found.name, found.image_size, found.num_channels) == ("pets/a", 8, 3)


def test_class_names_come_from_the_hugging_face_metadata(tmp_path):
    found = split(write_parquet(tmp_path / "a.parquet", class_names=["cat", "dog", "eel"]))
    assert (found.class_names, found.num_classes) == (("cat", "dog", "eel"), 3)


def test_without_names_the_largest_label_tells_the_number_of_classes(tmp_path):
    found = split(write_parquet(tmp_path / "a.parquet", class_names=None, labels=with_label(4, 6)))
    assert (found.class_names, found.num_classes) == (None, 7)


@pytest.mark.parametrize(
    "metadata", ["{", "[]", json.dumps({"info": {"features": {"label": {"names": [1]}}}})]
)
def test_unusable_metadata_is_as_none(tmp_path, metadata):
    path = write_parquet(tmp_path / "a.parquet")
    table = pq.read_table(path).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, path)
    assert split(path).class_names is None


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int32(), pa.uint64()])
def test_every_integer_type_is_a_label(tmp_path, kind):
    labels = pa.array([index % 2 for index in range(NUM_IMAGES)], kind)
    assert split(write_parquet(tmp_path / "a.parquet", labels=labels)).train_labels_N.dtype == np.int64


def test_another_label_column_can_be_named(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", label_column="fine_label")
    assert split(path, label_column="fine_label").class_names == ("cat", "dog")


def test_shards_are_read_as_one_data_set(tmp_path):
    images, labels = pictures(), [row % 3 % 2 for row in range(NUM_IMAGES)]
    write_parquet(tmp_path / "s" / "0.parquet", images=images[:7], labels=labels[:7])
    write_parquet(tmp_path / "s" / "b" / "1.parquet", images=images[7:], labels=labels[7:])
    whole = split(write_parquet(tmp_path / "whole.parquet", images=images, labels=labels))
    parts = split(tmp_path / "s")
    np.testing.assert_array_equal(parts.train_images_NHWC, whole.train_images_NHWC)
    np.testing.assert_array_equal(parts.train_labels_N, whole.train_labels_N)
    assert parts.name == "s"


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["train.parquet", "test.parquet"], ["train.parquet"]),
        (["train-00000-of-00002.PARQUET", "train_20.parquet", "rest.parquet"], [0, 1]),
        (["plain_text/train/0.parquet", "plain_text/test/0.parquet"], [0]),
        (["a.parquet", "test-0.parquet", "val.parquet", "x_validation.parquet"], ["a.parquet"]),
        (["strain.parquet", "latest.parquet"], [0, 1]),
        (["tiny_train/train.parquet", "tiny_train/val.parquet"], [0]),
        ([".cache/train.parquet", "a.parquet"], ["a.parquet"]),
        (["notes.txt"], []),
    ],
)
def test_only_training_files_of_a_folder_are_read(tmp_path, names, read):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = {names[name] if isinstance(name, int) else name for name in read}
    assert {file.relative_to(tmp_path).as_posix() for file in find_shards(tmp_path)} == expected


def test_names_above_the_given_folder_do_not_count(tmp_path):
    path = write_parquet(tmp_path / "test" / "a.parquet")
    assert find_shards(path.parent) == [path]


def test_only_held_out_files_are_refused(tmp_path):
    write_parquet(tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"named as test or validation data: .*test\.parquet"):
        split(tmp_path)


def test_held_out_file_is_read_when_it_is_given_itself(tmp_path):
    assert split(write_parquet(tmp_path / "test.parquet")).num_classes == 2


def test_shards_of_different_data_sets_are_refused(tmp_path):
    write_parquet(tmp_path / "0.parquet")
    write_parquet(tmp_path / "1.parquet", class_names=["ant", "bee"])
    with pytest.raises(DataError, match=r"0\.parquet and .*1\.parquet have different class names"):
        split(tmp_path)


def test_missing_label_column_lists_the_columns(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", label_column="labels")
    expected = (
        r"no column 'label'\. Did you mean 'labels'\? Its columns: image, labels\. .*data\.label_column"
    )
    with pytest.raises(DataError, match=expected):
        split(path)


@pytest.mark.parametrize("cell", ["text", 7, {"path": "a.png"}])
def test_missing_image_column_lists_the_columns(tmp_path, cell):
    pq.write_table(pa.table({"image": [cell], "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no image column.*its columns: image: .*label: int64"):
        split(tmp_path / "a.parquet")


@pytest.mark.parametrize("label", ["cat", 0.5, True])
def test_label_that_is_no_integer_is_refused(tmp_path, label):
    path = write_parquet(tmp_path / "a.parquet", labels=[label] * NUM_IMAGES)
    with pytest.raises(DataError, match=r"'label' of .*a\.parquet holds values of type .*; integers"):
        split(path)


@pytest.mark.parametrize("label", [None, -1, 2])
def test_bad_label_names_file_and_row(tmp_path, label):
    path = write_parquet(tmp_path / "a.parquet", labels=with_label(13, label))
    written = "null" if label is None else label
    with pytest.raises(DataError, match=rf"Row 13 .*a\.parquet has the label {written}; allowed are 0 to 1"):
        split(path)


def test_negative_label_without_names_is_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", labels=with_label(2, -1), class_names=None)
    with pytest.raises(DataError, match=r"Row 2 .* label -1; allowed are integers from 0"):
        split(path)


def test_absurd_label_without_names_is_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", labels=with_label(2, 10**15), class_names=None)
    with pytest.raises(DataError, match=r"1,000,000,000,000,001 classes, if its labels are right"):
        split(path)


def test_corrupt_image_names_the_row_in_its_file(tmp_path):
    write_parquet(tmp_path / "0.parquet")
    write_parquet(tmp_path / "1.parquet", images=[*pictures()[:13], b"corrupt", *pictures()[14:]])
    with pytest.raises(DataError, match=r"row 13 \(counted from 0\) of .*1\.parquet can't be decoded"):
        split(tmp_path)


def test_row_without_image_bytes_is_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", images=[*pictures()[:15], None, *pictures()[16:]])
    with pytest.raises(DataError, match=r"Row 15 .* has no image bytes in its image column"):
        split(path)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "pages"])
def test_corrupt_parquet_file_is_refused(tmp_path, damage):
    path = write_parquet(tmp_path / "a.parquet")
    content = path.read_bytes()
    middle = len(content) // 2
    damaged = {
        "empty": b"",
        "text": b"no parquet at all",
        "truncated": content[:middle],
        "pages": content[:4] + b"\xff" * (middle - 4) + content[middle:],
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"a\.parquet can't be read as Parquet"):
        split(path)


def test_a_file_with_fewer_rows_than_its_footer_says_is_refused(tmp_path):
    file = write_shard(tmp_path / "train.parquet", range(7), rows_per_group=10)
    claim_rows(file, 9)
    with pytest.raises(DataError, match=r"train\.parquet should have 9 rows, but .* 7 labels\. .* damaged"):
        load_split(DataConfig(source=str(file), validation_images=2), seed=0)


def test_files_without_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"have no rows"):
        split(write_parquet(tmp_path / "a.parquet", images=[], labels=pa.array([], pa.int64())))


def test_grey_and_colour_rows_mix_to_rgb(tmp_path):
    images = [encoded(picture(9, mode="L" if row % 2 else "RGB")) for row in range(NUM_IMAGES)]
    assert split(write_parquet(tmp_path / "a.parquet", images=images)).num_channels == 3


def test_image_size_is_taken_from_the_config(tmp_path):
    assert split(write_parquet(tmp_path / "a.parquet"), image_size=12).image_size == 12
