"""A CSV file of labels beside images is a data set; what can't be used is named by file, line and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynas.data import DataConfig, ImageSplit, load_split
from raynas.data.stream import ImageIndex
from raynas.errors import DataError
from tests.data.builders import picture, write_folder


def split(source: Path) -> ImageSplit:
    return load_split(DataConfig(source=str(source)), seed=0)


def write_table(root: Path, header: str = "path,label", *, rows: list[str] | None = None) -> Path:
    """Twenty pictures in images/, of which every second is a cat and dark, and their labels."""
    (root / "images").mkdir(parents=True)
    for number in range(20):
        picture(100 * (number % 2)).save(root / "images" / f"{number}.png")
    lines = rows or [f"images/{number}.png,{('cat', 'a dog')[number % 2]}" for number in range(20)]
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n")
    return root


@pytest.mark.parametrize("header", ["path,label", "filename,class", "\ufeffImage_Path,Category", "id,target"])
def test_labels_are_names_of_classes(tmp_path, header):
    found = split(write_table(tmp_path, header))
    assert found.class_names == ("a dog", "cat")
    assert (1 - found.train_images_NHWC[:, 0, 0, 0] // 100).tolist() == found.train_labels_N.tolist()
    assert found.described()[0] == "found: images with labels in labels.csv; 2 classes"


def test_the_file_itself_may_be_the_source_under_any_name(tmp_path):
    write_table(tmp_path)
    (tmp_path / "labels.csv").rename(tmp_path / "mine.csv")
    assert split(tmp_path / "mine.csv").class_names == split(tmp_path).class_names == ("a dog", "cat")


def test_ids_have_no_ending_and_lie_in_images(tmp_path):
    rows = [f"{number},{number % 2}" for number in range(20)]
    assert split(write_table(tmp_path, "id,label", rows=rows)).class_names == ("0", "1")


def test_splits_are_used_and_a_test_set_is_left_out(tmp_path):
    parts = ["train"] * 12 + ["val"] * 4 + ["test"] * 3
    rows = [f"{number},{number % 2},{part}" for number, part in enumerate(parts)]
    found = split(write_table(tmp_path, "id,label,split", rows=rows))
    assert (found.num_train_images, found.num_validation_images) == (12, 4)
    text = "\n".join(found.described())
    assert "left out: 3 images of a test set that is not needed (images/16.png)" in text
    assert "left out: 1 image that labels.csv doesn't name (images/19.png)" in text


def test_it_means_the_same_when_it_is_streamed(tmp_path):
    write_table(tmp_path)
    index = ImageIndex.find(str(tmp_path))
    assert (index.class_names, index.found) == (("a dog", "cat"), split(tmp_path).found)
    assert ImageIndex.find(str(tmp_path / "labels.csv")).found == index.found


def test_two_class_folders_are_the_classes_whatever_a_table_beside_them_says(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\ncat/000.png,owl\n")
    assert split(tmp_path).class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("path,label", "/etc/0.png,cat", r"Line 2 of .*labels\.csv: the path '/etc/0\.png' leads out"),
        ("path,label", "images/../../0.png,cat", "Line 2 .* leads out of the folder"),
        ("path,label", "C:/0.png,cat", "Line 2 .* leads out of the folder"),
        ("path,label", "images/77.png,cat", r"Line 2 .* no image 'images/77\.png'"),
        ("path,label", "images/0.png,", r"Line 2 .*'images/0\.png' has no label"),
        ("path,label", "images/0.png", "Line 2 .* has 1 columns"),
        ("path,label", "0,cat\n0,cat", "Line 3 .* again, after line 2"),
        ("path,label", '"0,cat', "can't be read as a CSV file"),
        ("path,label,split", "0,cat,later", "Line 2 .*split 'later' is unknown. Allowed: train, val, test"),
        ("path,label,split", "0,cat,test", "has no row for training"),
        ("path,color", "0,cat", r"Line 1 .*label of an image, but path, color\. Allowed names: label"),
        ("where,label", "0,cat", "Line 1 .*path of an image, but where, label"),
    ],
)
def test_what_can_not_be_used_is_named(tmp_path, header, row, message):
    with pytest.raises(DataError, match=message):
        split(write_table(tmp_path, header, rows=[row]))
