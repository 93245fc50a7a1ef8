"""`raynas evaluate`: what it prints, as text and as JSON, and the exit code of each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.cli.terminal.doctor_boxes import boxes_found
from raynas.detection.data.dataset import holds_boxes
from raynas.detection.evaluation import NUMBERS
from raynas.errors import DataError
from tests.data.builders import write_folder, write_parquet
from tests.detection.coco_sets import coco, write_coco
from tests.programs.evaluate.evaluated import trained_on_digits, untrained_detector


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("digits")
    trained_on_digits(folder)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    return untrained_detector(tmp_path_factory.mktemp("detector"))


def test_a_classifiers_numbers_are_printed(classifier):
    code, out, _ = call(classifier, "--data", "digits")
    assert code == 0
    assert f"network: {classifier}/model\n" in out
    assert "images: 300 images of digits, which its training held out\n" in out
    assert "top-1 0." in out and "top-5 0." in out and "mean class accuracy 0." in out
    assert "accuracy by class, the worst first: " in out
    assert " taken for " in out


def test_a_classifiers_numbers_as_json(classifier):
    code, out, _ = call(classifier, "--data", "digits", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["task"] == "classification" and found["num_images"] == 300
    right = sum(one["num_images"] * one["accuracy"] for one in found["classes"])
    assert right / 300 == pytest.approx(found["top1"])
    wrong = sum(pair["num_images"] for pair in found["confusions"])
    assert wrong == pytest.approx(300 - right)


def test_a_detectors_numbers_are_printed_and_a_dash_where_there_are_none(detector, tmp_path):
    data = write_coco(tmp_path / "coco")
    code, out, _ = call(detector, "--data", data, "--pictures", "1", "--out", tmp_path / "out")
    assert code == 0
    assert "ap 0." in out and "ap_large -" in out
    assert "with scores of at least 0.01 (detector.boxes.score_threshold)" in out
    assert f"pictures: 1 in {tmp_path / 'out'}" in out
    assert (tmp_path / "out" / "0001.png").is_file()


def test_a_detectors_numbers_as_json(detector, tmp_path):
    data = write_coco(tmp_path / "coco")
    words = ("--format", "json", "--set", "detector.boxes.score_threshold=0")
    code, out, _ = call(detector, "--data", data, *words)
    found = json.loads(out)
    assert code == 0
    assert set(NUMBERS) <= set(found)
    assert found["ap_large"] is None
    assert found["score_threshold"] == 0
    assert set(found["ap_of_classes"]) == {"cat", "dog", "owl"}


def test_every_mistake_ends_with_code_2_and_a_message(classifier, detector, tmp_path):
    boxes = write_coco(tmp_path / "coco")
    folders = write_folder(tmp_path / "folders")
    mistakes: list[tuple[tuple[str | Path, ...], str]] = [
        ((tmp_path / "none", "--data", "digits"), "There is nothing at"),
        ((tmp_path, "--data", "digits"), "holds no trained network"),
        ((classifier,), "No images are given"),
        ((classifier, "--data", tmp_path / "none"), "none"),
        ((classifier, "--data", boxes), "has pictures with boxes, for a detector"),
        ((detector, "--data", folders), "has no COCO annotations"),
        ((detector, "--data", "digits"), "digits"),
        ((classifier, "--data", folders), "only in the data: 'cat', 'dog'"),
        ((classifier, "--data", "digits", "--best"), "holds no trained network"),
        ((classifier, "--data", "digits", "--pictures", "3"), "Pictures need a folder"),
        ((classifier, "--data", "digits", "--set", "data.streamed=true"), "data.streamed is not an option"),
        ((classifier, "--data", "digits", "--set", "data.validation_images=0"), "data.validation_images = 0"),
    ]
    for words, message in mistakes:
        code, out, err = call(*words)
        assert (code, out) == (2, ""), words
        assert message in err, words


def test_doctor_says_what_is_in_a_set_of_boxes(tmp_path):
    content = coco(3, boxes=((4, 6, 20, 10), (50, 20, 30, 16)))
    content["annotations"][1]["iscrowd"] = 1
    content["images"].append({"id": 900, "file_name": "0003.png", "width": 64, "height": 48})
    data = write_coco(tmp_path / "coco", train=content)
    assert holds_boxes(str(data))
    text = boxes_found(str(data))
    assert "coco: pictures with boxes, of 3 classes" in text
    assert "training: 4 pictures, 6 boxes, 1 of them crowds; 1 pictures have none" in text
    assert "training boxes by class: cat 2, dog 2, owl 2" in text
    assert "boxes reach out of their picture and are clipped in training" in text
    assert "validation: 2 pictures, 4 boxes" in text


def test_doctor_says_which_part_is_missing(tmp_path):
    data = write_coco(tmp_path / "coco")
    (data / "annotations" / "instances_val2017.json").unlink()
    with pytest.raises(DataError, match=r"training: 4 pictures(.|\n)*There are no pictures for validation"):
        boxes_found(str(data))


def test_data_without_boxes_is_not_taken_for_a_detectors(tmp_path):
    assert not holds_boxes(str(write_folder(tmp_path / "folders")))
    assert not holds_boxes(str(write_parquet(tmp_path / "one.parquet")))
    assert not holds_boxes(str(tmp_path / "none"))
    assert not holds_boxes("digits")
