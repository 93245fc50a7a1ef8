"""Boxes in COCO files that can not be trained on: named, counted and said once."""

from __future__ import annotations

import logging
import math

import pytest

from raynas.errors import DataError
from tests.detection.coco_sets import Change, Content, coco, first_box, opened, write_coco, written


def test_boxes_that_are_not_finite_are_left_out_and_said_once(tmp_path, caplog):
    def change(content: Content) -> None:
        for place, value in enumerate((math.nan, math.inf, -math.inf, None)):
            content["annotations"][place]["bbox"][place] = value
        content["annotations"][4]["bbox"] = [10, 10, -5, 4]

    data = opened(written(tmp_path, change))
    assert len(data.train.boxes) == 3 and data.train.boxes.offsets.tolist() == [0, 0, 0, 1, 3]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("4 boxes are left out") and "annotations[0] (id 1) of picture 100" in said[0]
    assert said[1].startswith("1 boxes are left out, because width or height is negative: [10.0, 10.0, -5.0")


def test_boxes_are_clipped_for_training_and_not_for_evaluation(tmp_path, caplog):
    def change(content: Content) -> None:
        first_box(content, bbox=[-10, 40, 30, 30])
        content["annotations"][1]["bbox"] = [5, 5, 0, 10]
        content["annotations"][3]["bbox"] = [100, 100, 9, 9]
        content["annotations"][5]["bbox"] = [10, 10, 0.5, 20]

    data = opened(written(tmp_path, change))
    chosen = data.for_training()
    assert data.train.boxes.boxes_N4[0].tolist() == [-10, 40, 20, 70] and len(data.train.boxes) == 8
    assert chosen.split.boxes.boxes_N4[0].tolist() == [0, 40, 20, 48] and len(chosen.split.boxes) == 5
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("1 boxes reach out of their picture") and "picture 100 (64x48)" in said[0]
    assert said[1].startswith("3 boxes have less than 1 pixel")


def test_a_picture_whose_boxes_are_all_unusable_is_not_trained_on(tmp_path, caplog):
    def change(content: Content) -> None:
        for record in content["annotations"][:2]:
            record["iscrowd"] = 1
        del content["annotations"][2:4]

    chosen = opened(written(tmp_path, change)).for_training()
    # Picture 0 has crowds alone; picture 1 has nothing, which is an example of nothing.
    assert chosen.numbers.tolist() == [1, 2, 3]
    assert "1 pictures are left out of training" in caplog.text and "100" in caplog.text


NOTHING_LEFT: dict[str, tuple[Change, str]] = {
    "no boxes": (lambda c: c["annotations"].clear(), "no usable box"),
    "crowds": (
        lambda c: [record.update(iscrowd=1) for record in c["annotations"]],
        r"All 8 boxes of .*instances_train2017\.json are crowds",
    ),
    "fractions": (
        lambda c: [record.update(bbox=[0.1, 0.2, 0.3, 0.4]) for record in c["annotations"]],
        "not fractions of the picture",
    ),
    "NaN": (
        lambda c: [record.update(bbox=[math.nan] * 4) for record in c["annotations"]],
        "no usable box",
    ),
}


@pytest.mark.parametrize(("change", "message"), NOTHING_LEFT.values(), ids=NOTHING_LEFT.keys())
def test_with_nothing_to_train_on_training_is_refused_and_opening_is_not(tmp_path, change, message):
    data = opened(written(tmp_path, change))
    with pytest.raises(DataError, match=message):
        data.for_training()


def test_classes_without_boxes_are_named(tmp_path, caplog):
    opened(written(tmp_path, lambda c: [record.update(category_id=7) for record in c["annotations"]]))
    assert "2 of the 3 classes have no box: 'cat', 'owl'" in caplog.text


def test_boxes_of_corners_in_a_coco_file_are_refused_until_the_format_is_set(tmp_path):
    corners = [(30 + place % 9, 20 + place % 7, 50 + place % 9, 40 + place % 7) for place in range(8)]
    root = write_coco(tmp_path, train=coco(boxes=corners))
    with pytest.raises(DataError, match=r"left, top, right, bottom.*Set data\.box_format to xyxy"):
        opened(root)
    boxes = opened(root, box_format="xyxy", validation_annotations="annotations/instances_train2017.json")
    assert boxes.train.boxes.boxes_N4[0].tolist() == [30, 20, 50, 40]


def test_logs_come_once_for_each_split(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        opened(written(tmp_path, lambda c: first_box(c, bbox=[math.nan, 0, 1, 1])))
    assert len(caplog.records) == 1
