"""Boxes are drawn where they are, in a colour for each class, and any name can be written."""

from __future__ import annotations

import asyncio
import io
import pickle

import numpy as np
import pytest
from PIL import Image

from raynas.detection.data import DetectionDataConfig, evaluation_batches, open_detection
from raynas.detection.data.boxes import DetectionClasses
from raynas.detection.drawing import (
    MOST_SHOWN,
    DrawnBoxes,
    comparisons,
    example_numbers,
    predicted_boxes,
    printable,
    side_by_side,
    true_boxes,
)
from raynas.detection.evaluation import NUMBERS, Predictions
from raynas.detection.summary import DetectionSummary
from raynas.detection.training import Detection
from raynas.engine.final_mailbox import FinalMailbox
from raynas.programs.train.curve import Curve
from raynas.training.device import Placement
from tests.detection.coco_sets import coco, write_coco
from tests.detection.small_detectors import small_detector

CLASSES = DetectionClasses((1, 2), ("cat", "dog"))


def drawn(*boxes: tuple[float, float, float, float], text: str = "cat") -> DrawnBoxes:
    count = len(boxes)
    return DrawnBoxes(
        "heading",
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.ones(count, dtype=np.int64),
        [text] * count,
    )


def predictions(*scores: float, picture: int = 0) -> Predictions:
    count = len(scores)
    return Predictions(
        np.full(count, picture, dtype=np.int64),
        np.ones(count, dtype=np.int64),
        np.array(scores, dtype=np.float32),
        np.tile(np.array([[1, 2, 9, 9]], dtype=np.float32), (count, 1)),
    )


def test_a_box_is_drawn_at_its_place_in_its_own_half_alone():
    black = Image.new("RGB", (200, 100))
    sheet = np.asarray(side_by_side(black, drawn((50, 40, 100, 80)), drawn(), side=400), dtype=int)
    left, right = sheet[22:, :400], sheet[22:, 404:]
    assert right.max() == 0
    coloured_HW = left.max(axis=2) > 100
    # Twice the size; the words stand above the box.
    assert coloured_HW[160, 100] and coloured_HW[120, 100] and coloured_HW[120, 199]
    assert not coloured_HW[120, 150]
    rows, columns = np.nonzero(coloured_HW)
    assert (rows.max(), columns.min()) == (160, 100)


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 500, 500), (0, 0, 0, 0), (199, 99, 200, 100), (300, 300, 400, 400), (90, 90, 20, 10)],
)
def test_boxes_at_and_beyond_the_edges_can_be_drawn(box):
    picture = Image.new("RGB", (200, 100))
    sheet = side_by_side(picture, drawn(box, text="x" * 300), drawn(), side=300)
    assert np.asarray(sheet).max() > 0


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 5)])
def test_pictures_of_any_shape_can_be_drawn(size):
    sheet = side_by_side(Image.new("L", size), drawn((0, 0, 1, 1)), drawn(), side=300)
    assert max(sheet.size) <= 700


@pytest.mark.parametrize("name", ["猫", "a\nb", "\0", "é", "", "🐈" * 500, "‮"])
def test_any_name_can_be_written(name):
    assert printable(name).isprintable()
    side_by_side(Image.new("RGB", (50, 50)), drawn((1, 1, 20, 20), text=name), drawn(), side=100)


def test_good_predictions_are_shown_the_best_first():
    shown = predicted_boxes(predictions(0.1, 0.9, 0.5, 0.29), 0, CLASSES)
    assert shown.texts == ["cat 0.90", "cat 0.50"]
    assert shown.heading == "predicted: 2 boxes with score >= 0.3"


def test_where_none_is_good_the_best_are_shown_and_said_to_be_so():
    shown = predicted_boxes(predictions(0.1, 0.02, 0.2, 0.15, 0.01), 0, CLASSES)
    assert shown.texts == ["cat 0.20", "cat 0.15", "cat 0.10"]
    assert "none has score >= 0.3" in shown.heading


def test_predictions_are_those_of_the_picture_and_not_too_many():
    assert len(predicted_boxes(predictions(*[0.8] * 100), 0, CLASSES).texts) == MOST_SHOWN
    assert len(predicted_boxes(predictions(0.8, picture=1), 0, CLASSES).texts) == 0


def test_true_boxes_are_those_of_the_file_and_crowds_are_told(tmp_path):
    content = coco(2)
    content["annotations"][3]["iscrowd"] = 1
    split = open_detection(
        DetectionDataConfig(source=str(write_coco(tmp_path / "coco", validation=content)))
    ).validation
    assert split is not None
    assert true_boxes(split, 0).texts == ["cat", "dog"]
    assert true_boxes(split, 1).texts == ["owl", "cat (crowd)"]
    assert true_boxes(split, 1).heading == "truth: 2 boxes, picture 101"
    sheets = comparisons(split, example_numbers(split.pictures, 2), predictions(0.8), side=200)
    assert [sheet.width for sheet in sheets] == [404, 404]


def summary(epoch: int = 1) -> DetectionSummary:
    return DetectionSummary(
        epoch=epoch,
        train_loss=1.0,
        learning_rate=0.1,
        images_per_second=1.0,
        seconds=1.0,
        seconds_left=1.0,
        ap_of_classes={"cat": 0.5},
        pictures=(b"png", b"other"),
        **dict.fromkeys(NUMBERS, 0.5),
    )


def test_a_summary_records_no_pictures(tmp_path):
    own = summary()
    assert own.images() == {"validation-1": b"png", "validation-2": b"other"}
    assert "pictures" not in own.model_dump() and "pictures" not in own.model_dump_json()
    assert "pictures" not in own.metrics()
    curve = Curve(tmp_path, DetectionSummary)
    curve.append(own)
    assert curve.summaries == Curve(tmp_path, DetectionSummary).summaries == [own.without_images()]
    assert own.without_images().images() == {}
    # As it travels from the workers to the driver.
    assert pickle.loads(pickle.dumps(own)).images() == own.images()


def test_the_mailbox_forgets_pictures_that_were_fetched():
    async def fetch() -> tuple[list[int], list[int]]:
        mailbox = FinalMailbox()
        await mailbox.put(summary(1))
        first = await mailbox.after(0)
        await mailbox.put(summary(2))
        second = await mailbox.after(len(first))
        kept = await mailbox.rest(0)
        return [len(one.images()) for one in (*first, *second)], [len(one.images()) for one in kept]

    assert asyncio.run(fetch()) == ([2, 2], [0, 2])


@pytest.mark.parametrize("count", [0, 2, 9])
def test_an_epoch_is_measured_with_so_many_pictures(tmp_path, count):
    split = open_detection(DetectionDataConfig(source=str(write_coco(tmp_path / "coco")))).validation
    assert split is not None
    batches = evaluation_batches(split, num_processes=0).batches(epoch=0, batch_size=2)
    task = Detection(split, num_pictures=count)
    fields = task.scores(small_detector(), batches, Placement(), None)
    assert len(fields["pictures"]) == min(count, 2)
    for content in fields["pictures"]:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            assert picture.width == 804
