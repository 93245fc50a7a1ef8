"""Validation images that the data has, or that are given beside it, are used in memory; a test set is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.data import DataConfig, ImageSplit, load_split
from raynas.data.stream import ImageIndex
from raynas.errors import DataError
from raynas.programs.auto.config import AutoConfig
from raynas.programs.train.config import TrainDataConfig
from raynas.programs.train.data import find_data
from tests.data.builders import encoded, picture, pictures, write_folder, write_parquet


def split(source: Path, **fields: object) -> ImageSplit:
    return load_split(DataConfig.model_validate({"source": str(source), **fields}), seed=0)


def values(images_NHWC: np.ndarray) -> list[int]:
    return sorted({int(image.flat[0]) for image in images_NHWC})


def dark_and_bright(root: Path) -> Path:
    """Class folders whose training pictures are below 200, and those for validation are not."""
    write_folder(root / "train", per_class=6)
    for number, name in enumerate(("cat", "dog")):
        (root / "val" / name).mkdir(parents=True)
        picture(200 + number).save(root / "val" / name / "0.png")
    return root


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_validation_folder_beside_train_is_the_validation_part(tmp_path, name):
    dark_and_bright(tmp_path / "set")
    (tmp_path / "set" / "val").rename(tmp_path / "set" / name)
    found = split(tmp_path / "set")
    assert (values(found.train_images_NHWC), values(found.validation_images_NHWC)) == ([0, 100], [200, 201])
    assert (found.validation_images_NHWC[:, 0, 0, 0] - 200).tolist() == found.validation_labels_N.tolist()
    assert found.described()[-1].endswith(f"12 of them for training, and 2 of those in {name} for validation")


def test_a_training_in_memory_uses_it(tmp_path):
    config = TrainDataConfig(source=str(dark_and_bright(tmp_path)))
    found = find_data(config, seed=0)
    assert isinstance(found, ImageSplit) and values(found.validation_images_NHWC) == [200, 201]


def test_an_automatic_run_uses_it(tmp_path):
    config = AutoConfig(data=DataConfig(source=str(dark_and_bright(tmp_path))), hours=1)
    assert values(load_split(config.data, seed=config.seed).validation_images_NHWC) == [200, 201]


def test_a_test_set_measures_no_child(tmp_path):
    write_folder(tmp_path / "train", per_class=10)
    write_folder(tmp_path / "test", per_class=30)
    found = split(tmp_path)
    assert (len(found.train_labels_N), len(found.validation_labels_N)) == (18, 2)
    assert found.described()[-1].endswith("2 others held out at random for validation")


def test_parquet_files_for_validation_are_used(tmp_path):
    write_parquet(tmp_path / "train.parquet")
    write_parquet(tmp_path / "validation.parquet", images=[encoded(picture(250))] * 4)
    found = split(tmp_path)
    assert (len(found.train_labels_N), values(found.validation_images_NHWC)) == (20, [250])


def test_a_validation_path_replaces_what_the_data_has(tmp_path):
    source = dark_and_bright(tmp_path / "set")
    other = write_parquet(tmp_path / "other.parquet", images=[encoded(picture(240))] * 6)
    found = split(source, validation=str(other))
    assert (len(found.train_labels_N), values(found.validation_images_NHWC)) == (12, [240])
    assert f"for validation, in {other}: 6 images; cat 3, dog 3" in found.described()


def test_classes_are_numbered_as_in_training_even_if_validation_lacks_some(tmp_path):
    write_folder(tmp_path / "train", classes=("ant", "cat", "dog"))
    write_folder(tmp_path / "val", classes=("cat", "dog"), per_class=3)
    found = split(tmp_path)
    assert sorted(found.validation_labels_N.tolist()) == [1] * 3 + [2] * 3
    assert "classes without an image for validation: ant" in found.described()


def test_fewer_images_of_both_parts_can_be_asked_for(tmp_path):
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "val")
    few, more = (split(tmp_path, train_images=count, validation_images=5) for count in (4, 20))
    assert (len(few.train_labels_N), len(few.validation_labels_N)) == (4, 5)
    np.testing.assert_array_equal(few.validation_labels_N, more.validation_labels_N)
    with pytest.raises(DataError, match=r"20 validation images, but data\.validation_images = 21"):
        split(tmp_path, validation_images=21)


def test_a_class_that_training_lacks_is_refused(tmp_path):
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "val", classes=("cat", "owl"))
    with pytest.raises(DataError, match=r"in val, have the class 'owl', .*Training has: cat, dog\."):
        split(tmp_path)


def test_numbers_beyond_those_of_training_are_refused(tmp_path):
    write_parquet(tmp_path / "train.parquet", class_names=None)
    write_parquet(tmp_path / "val.parquet", class_names=None, images=pictures(2), labels=[0, 7])
    with pytest.raises(DataError, match="labels up to 7, but the training labels go up to 1"):
        split(tmp_path)


@pytest.mark.parametrize(
    ("source", "validation", "message"),
    [
        ("digits", "x", "data.source is 'digits'"),
        (".", "no/where", r"data\.validation = 'no/where' is not"),
    ],
)
def test_a_validation_path_of_no_use_is_refused(tmp_path, monkeypatch, source, validation, message):
    monkeypatch.chdir(write_folder(tmp_path / "set"))
    with pytest.raises(DataError, match=message):
        load_split(DataConfig(source=source, validation=validation), seed=0)


def test_a_validation_path_can_be_streamed(tmp_path):
    write_folder(tmp_path / "set")
    write_folder(tmp_path / "other", per_class=3)
    config = TrainDataConfig(source=str(tmp_path / "set"), validation=str(tmp_path / "other"), streamed=True)
    index = find_data(config, seed=0)
    assert isinstance(index, ImageIndex) and index.validation is not None
    assert index.validation.num_images == 6
    assert "for validation, in other: 6 images; cat 3, dog 3" in index.described()


@pytest.mark.parametrize("command", ["search", "train nasnet_a --epochs 1 --batch-size 8"])
def test_the_option_says_where_validation_images_are(tmp_path, command):
    write_folder(tmp_path / "set")
    write_folder(tmp_path / "other", per_class=3)
    paths = ["--data", str(tmp_path / "set"), "--validation", str(tmp_path / "other")]
    arguments = [*command.split(), *paths, "--dry-run", "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    assert "20 of them for training, and 6 of those in" in " ".join(ended.output.split())
