"""COCO folders are found by the usual names or by those that are given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from raynas.errors import DataError
from tests.detection.coco_sets import coco, opened, write_coco, write_pictures


def test_boxes_become_arrays_with_labels_in_the_order_of_class_ids(tmp_path):
    data = opened(write_coco(tmp_path))
    train = data.train
    assert data.classes.ids == (3, 7, 9) and data.classes.names == ("cat", "dog", "owl")
    assert train.picture_ids == (100, 101, 102, 103)
    assert train.boxes.boxes_N4.dtype == np.float32 and train.boxes.labels_N.dtype == np.int32
    assert train.boxes.boxes_N4[:2].tolist() == [[4, 6, 24, 16], [30, 20, 42, 36]]
    assert train.boxes.labels_N.tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert train.boxes.offsets.tolist() == [0, 2, 4, 6, 8]
    assert data.validation.num_pictures == 2 and train.findings == ()


def test_coco_tiny_is_read(real_data):
    if not (real_data / "coco_tiny").is_dir():
        pytest.skip(f"no coco_tiny in {real_data}")
    data = opened(real_data / "coco_tiny")
    assert (len(data.classes), data.train.num_pictures, len(data.train.boxes)) == (80, 50, 470)
    assert (data.validation.num_pictures, len(data.validation.boxes)) == (50, 382)
    assert data.classes.ids[-1] == 90 and data.classes.names[-1] == "toothbrush"
    assert data.validation.boxes.is_crowd_N.sum() == 5


def in_one_folder(root: Path) -> Path:
    """Roboflow's layout: the annotations beside the pictures of each split."""
    for folder, content in (("train", coco()), ("valid", coco(2)), ("test", coco(3))):
        write_pictures(root / folder, content)
        (root / folder / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def with_images_folder(root: Path) -> Path:
    for split, content in (("train", coco()), ("val", coco(2))):
        write_pictures(root / "images" / split, content)
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return root


def with_whole_paths(root: Path) -> Path:
    for split, content in (("train", coco()), ("val", coco(2))):
        write_pictures(root / split, content)
        for record in content["images"]:
            record["file_name"] = f"{split}\\{record['file_name']}"
        (root / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def with_cocos_other_files(root: Path) -> Path:
    write_coco(root)
    for name in ("captions_train2017", "person_keypoints_train2017", "image_info_test2017"):
        (root / "annotations" / f"{name}.json").write_text("[]")
    return root


@pytest.mark.parametrize(
    "write", [in_one_folder, with_images_folder, with_whole_paths, with_cocos_other_files]
)
def test_the_usual_layouts_are_found(tmp_path, write):
    data = opened(write(tmp_path))
    assert (data.train.num_pictures, data.validation.num_pictures) == (4, 2)
    assert all(Path(path).is_file() for path in data.train.pictures.paths)
    assert not set(data.train.pictures.paths) & set(data.validation.pictures.paths)


def test_files_may_be_given(tmp_path):
    root = write_coco(tmp_path / "set")
    (root / "annotations" / "instances_train2017.json").rename(tmp_path / "mine.json")
    (root / "train2017").rename(root / "photos")
    data = opened(
        root,
        train_annotations=str(tmp_path / "mine.json"),
        train_pictures="photos",
        validation_annotations="annotations/instances_val2017.json",
    )
    assert data.train.pictures.paths[0] == str(root / "photos" / "0000.png")


def test_a_given_file_that_is_not_there_is_named_with_its_setting(tmp_path):
    root = write_coco(tmp_path)
    with pytest.raises(DataError, match=r"data\.train_annotations = .*Did you mean 'instances_train2017"):
        opened(root, train_annotations="annotations/instances_tain2017.json")
    with pytest.raises(DataError, match=r"data\.validation_pictures = '.*pics' is not a path"):
        opened(root, validation_pictures="pics")
    with pytest.raises(DataError, match=r"data\.train_annotations = 'annotations' is a folder"):
        opened(root, train_annotations="annotations")
    with pytest.raises(DataError, match=r"is not a path that can be read.*COCO's annotations"):
        opened(tmp_path / "elsewhere")


def test_several_annotations_of_a_split_are_listed(tmp_path):
    root = write_coco(tmp_path)
    annotations = root / "annotations" / "instances_train2017.json"
    shutil.copy(annotations, annotations.with_name("instances_train2014.json"))
    with pytest.raises(DataError, match=r"instances_train2014\.json, .*Set data\.train_annotations"):
        opened(root)
    assert opened(root, train_annotations="annotations/instances_train2017.json").train.num_pictures == 4


def test_a_folder_without_annotations_says_what_is_allowed(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"no COCO annotations.*instances_train"):
        opened(tmp_path)


def test_without_a_train_split_evaluation_is_possible_and_training_is_not(tmp_path):
    root = write_coco(tmp_path)
    (root / "annotations" / "instances_train2017.json").unlink()
    data = opened(root)
    assert data.train is None and data.validation.num_pictures == 2
    with pytest.raises(DataError, match="no training data"):
        data.for_training()
