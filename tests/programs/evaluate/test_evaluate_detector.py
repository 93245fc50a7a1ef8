"""A detector is measured by COCO's numbers, its classes are matched by name, and its boxes are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import raynas
from raynas.detection.data import DetectionDataConfig, convert_detection, evaluation_batches, open_detection
from raynas.detection.evaluation import NUMBERS, Predictions, evaluate_predictions
from raynas.detection.folder import load_detector
from raynas.detection.training import predict
from raynas.errors import DataError, InvalidConfig, ModelError, UsageError
from tests.detection.coco_sets import coco, write_coco
from tests.programs.evaluate.evaluated import described, untrained_detector


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    return untrained_detector(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_coco(tmp_path_factory.mktemp("data") / "coco", validation=coco(3))


def evaluated(detector: Path, data: Path, **words: Any) -> Any:
    return raynas.evaluate(detector, data=str(data), **words)


def renamed(**names: str) -> list[dict[str, Any]]:
    return [{"id": number, "name": names[f"n{number}"]} for number in (3, 7, 9)]


def test_the_numbers_are_those_of_its_predictions(detector, data):
    found = evaluated(detector, data)
    truth = open_detection(DetectionDataConfig(source=str(data))).validation
    assert truth is not None
    loaded = load_detector(detector).detector
    batches = evaluation_batches(truth, num_processes=0)
    own = evaluate_predictions(predict(loaded, batches.batches(epoch=0, batch_size=1)), truth)
    assert found.scores == own
    assert found.scores.num_predictions > 10
    assert found.scores.numbers["ap_large"] is None
    assert found.images == "3 validation pictures of coco"
    assert set(found.scores.numbers) == set(NUMBERS)
    assert found.score_threshold == 0.01


def test_the_training_pictures_can_be_chosen(detector, data):
    assert evaluated(detector, data, split="train").scores.num_pictures == 4


def test_pictures_without_parts_are_measured_whole(detector, tmp_path):
    root = write_coco(tmp_path / "coco", validation=coco(3))
    (root / "annotations" / "instances_train2017.json").rename(tmp_path / "away.json")
    (root / "annotations" / "instances_val2017.json").rename(root / "_annotations.coco.json")
    found = evaluated(detector, root)
    assert found.scores.num_pictures == 3
    assert "all that it has" in found.images
    with pytest.raises(DataError, match="has no validation pictures"):
        evaluated(detector, root, split="validation")


def test_a_held_out_set_alone_is_enough(detector, tmp_path):
    root = write_coco(tmp_path / "coco", validation=coco(3))
    (root / "annotations" / "instances_train2017.json").unlink()
    assert evaluated(detector, root).images == "3 validation pictures of coco"


def test_parquet_files_with_boxes_are_measured_alike(detector, data, tmp_path):
    own = evaluated(detector, data).scores
    config = DetectionDataConfig(source=str(data))
    convert_detection(config, tmp_path / "parquet", shard_bytes=1 << 20)
    assert evaluated(detector, tmp_path / "parquet").scores == own


def test_the_threshold_can_be_changed(detector, data):
    found = evaluated(detector, data, settings={"detector": {"boxes": {"score_threshold": 1}}})
    assert found.score_threshold == 1
    assert found.scores.num_predictions == 0
    assert found.scores.numbers["ap"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detector": {"fpn_channels": 32}}, r"detector\.fpn_channels = 32 can't be changed"),
        ({"detector": {"boxes": {"score_threshold": 2}}}, r"detector\.boxes\.score_threshold = 2"),
        ({"detector": {"boxes": {"score": 2}}}, r"detector\.boxes\.score is not an option"),
        ({"training": {}}, "training is not an option"),
        ({"data": {"label_column": "x"}}, r"data\.label_column is not an option"),
    ],
)
def test_settings_that_an_evaluation_does_not_have_are_refused(detector, data, settings, message):
    with pytest.raises(InvalidConfig, match=message):
        evaluated(detector, data, settings=settings)


def test_classes_with_other_ids_are_matched_by_name(detector, tmp_path, monkeypatch):
    content = coco(3)
    new = {3: 30, 7: 1, 9: 2}
    for kind in content["categories"]:
        kind["id"] = new[kind["id"]]
    for box in content["annotations"]:
        box["category_id"] = new[box["category_id"]]
    train = coco(1) | {"categories": content["categories"], "annotations": []}
    root = write_coco(tmp_path / "coco", train=train, validation=content)
    label_of = {30: 1, 1: 2, 2: 3}

    def the_truth(*_: Any) -> Predictions:
        """What a perfect detector says, in the labels of its own classes."""
        boxes = content["annotations"]
        left_top_sides = np.array([box["bbox"] for box in boxes], dtype=np.float32)
        corners = np.concatenate(
            [left_top_sides[:, :2], left_top_sides[:, :2] + left_top_sides[:, 2:]], axis=1
        )
        return Predictions(
            np.array([box["image_id"] - 100 for box in boxes]),
            np.array([label_of[box["category_id"]] for box in boxes]),
            np.ones(len(boxes), dtype=np.float32),
            corners,
        )

    monkeypatch.setattr("raynas.programs.evaluate.detector.predict", the_truth)
    found = evaluated(detector, root)
    assert found.scores.numbers["ap"] == pytest.approx(1.0)
    assert found.scores.ap_of_classes == pytest.approx({"dog": 1.0, "owl": 1.0, "cat": 1.0})


def test_other_classes_are_refused_with_the_differences(detector, tmp_path):
    kinds = renamed(n3="cat", n7="wolf", n9="owl")
    root = write_coco(
        tmp_path / "coco", train=coco() | {"categories": kinds}, validation=coco(2) | {"categories": kinds}
    )
    with pytest.raises(DataError, match="only in the data: 'wolf'; only in the network: 'dog'"):
        evaluated(detector, root)


def test_pictures_without_a_box_are_refused(detector, tmp_path):
    root = write_coco(tmp_path / "coco", validation=coco(2) | {"annotations": []})
    with pytest.raises(DataError, match="has no box to measure by: 0 boxes"):
        evaluated(detector, root)


def test_pictures_with_crowds_alone_are_refused(detector, tmp_path):
    content = coco(2)
    for box in content["annotations"]:
        box["iscrowd"] = 1
    root = write_coco(tmp_path / "coco", validation=content)
    with pytest.raises(DataError, match="has no box to measure by: 4 boxes, all of crowds"):
        evaluated(detector, root)


def test_a_picture_that_can_not_be_decoded_is_named(detector, tmp_path):
    root = write_coco(tmp_path / "coco")
    (root / "val2017" / "0001.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"0001\.png"):
        evaluated(detector, root)


def test_a_damaged_detector_is_refused(data, tmp_path):
    place = untrained_detector(tmp_path / "detector")
    described(place, classes=["cat", "dog", "owl", "fox"], class_ids=[3, 7, 9, 10])
    with pytest.raises(ModelError, match="does not go with"):
        evaluated(place, data)
    (place / "model.json").write_text(json.dumps({"task": "detection"}))
    with pytest.raises(ModelError, match="does not describe a detector"):
        evaluated(place, data)


def test_true_and_predicted_boxes_are_drawn_side_by_side(detector, data, tmp_path):
    found = evaluated(detector, data, pictures=2, out=tmp_path / "out")
    assert [path.name for path in found.pictures] == ["0001.png", "0002.png"]
    for path in found.pictures:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 2 * picture.height
            left, right = (
                np.asarray(picture.crop((start, 0, start + 640, picture.height)).convert("RGB"), dtype=int)
                for start in (0, 644)
            )
        assert np.abs(left - right).max() > 100


def test_more_pictures_than_there_are_give_each_once(detector, data, tmp_path):
    assert len(evaluated(detector, data, pictures=50, out=tmp_path / "out").pictures) == 3


def test_pictures_overwrite_nothing(detector, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "0002.png").write_text("kept")
    with pytest.raises(UsageError, match=r"0002\.png exists already"):
        evaluated(detector, data, pictures=2, out=out)
    assert [path.name for path in out.iterdir()] == ["0002.png"]
    assert (out / "0002.png").read_text() == "kept"
    with pytest.raises(UsageError, match="is a file"):
        evaluated(detector, data, pictures=2, out=out / "0002.png")
