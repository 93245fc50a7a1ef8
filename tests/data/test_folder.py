"""Folders with one sub folder of images per class, and sources that can't be read."""

from __future__ import annotations

import os
import sys

import pytest

from raynas.data import DataConfig, ImageSplit, decode, load_split
from raynas.errors import DataError
from tests.data.builders import picture, write_folder


def split(source: object, **options: int) -> ImageSplit:
    return load_split(DataConfig(source=str(source), **options), seed=0)


def test_classes_are_the_sub_folders_in_sorted_order(tmp_path):
    found = split(write_folder(tmp_path / "pets", classes=("dog", "ant", "cat")))
    assert (found.class_names, found.num_classes, found.name) == (("ant", "cat", "dog"), 3, "pets")


def test_labels_are_those_of_the_folders(tmp_path):
    found = split(write_folder(tmp_path))
    assert (found.train_images_NHWC[:, 0, 0, 0] // 100).tolist() == found.train_labels_N.tolist()
    assert set(found.train_labels_N.tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["train", "training"])
def test_train_folder_is_used_where_there_is_one(tmp_path, name):
    write_folder(tmp_path / name, per_class=6)
    write_folder(tmp_path / "test", per_class=50)
    found = split(tmp_path)
    assert len(found.train_labels_N) + len(found.validation_labels_N) == 12


def test_train_can_be_the_name_of_a_class(tmp_path):
    assert split(write_folder(tmp_path, classes=("bus", "train"))).class_names == ("bus", "train")


@pytest.mark.parametrize("ending", ["png", "JPG", "jpeg", "bmp", "webp", "gif", "ppm", "tif", "TIFF", "avif"])
def test_every_image_format_is_read(tmp_path, ending):
    write_folder(tmp_path, ending=ending)
    found = split(tmp_path)
    assert found.train_images_NHWC.shape[:3] == (18, 8, 8)


def test_a_heic_file_without_its_reader_is_named_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    decode._reads_heic.cache_clear()
    write_folder(tmp_path)
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "IMG_1.HEIC")
    with pytest.raises(DataError, match=r"IMG_1\.HEIC is a HEIC file.* pip install 'raynas\[heic\]'"):
        split(tmp_path)
    decode._reads_heic.cache_clear()


def test_images_may_lie_deeper_and_other_files_are_ignored(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "cat" / "more").mkdir()
    picture().save(tmp_path / "cat" / "more" / "a.png")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / "._000.png").write_bytes(b"resource fork")
    (tmp_path / ".cache").mkdir()
    found = split(tmp_path)
    assert len(found.train_labels_N) + len(found.validation_labels_N) == 21


def test_missing_path_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere' is not a path that can be read\. Allowed: 'digits'"):
        split(tmp_path / "nowhere")


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"neither Parquet files nor images.*data\.source"):
        split(tmp_path)


def test_folder_with_other_files_only_is_refused(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    with pytest.raises(DataError, match=r"neither Parquet files nor images"):
        split(tmp_path)


def test_images_without_class_folders_are_refused(tmp_path):
    picture().save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"has no class.*one sub folder per class"):
        split(tmp_path)


def test_class_folder_without_images_is_refused(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "annotations").mkdir()
    with pytest.raises(DataError, match=r"sub folders annotations of .* have no images"):
        split(tmp_path)


def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path):
    write_folder(tmp_path, classes=("test", "val"))
    with pytest.raises(DataError, match=r"parts of a data set and not classes: test, val"):
        split(tmp_path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    archive = tmp_path / "cifar.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"does not end in \.parquet.*Unpack"):
        split(archive)


def test_unreadable_folder_is_refused(tmp_path, monkeypatch):
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"can't be read: Permission denied"):
        split(tmp_path)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "pets")
    assert split("~/pets").name == "pets"


def test_corrupt_image_names_its_file(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "dog" / "004.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match=r"image in .*dog/004\.png can't be decoded"):
        split(tmp_path)
