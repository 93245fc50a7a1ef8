"""COCO's numbers: equal to pycocotools', right where that is wrong, the same however many ranks predicted."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.convert import convert_detection
from raynas.detection.data.dataset import DetectionSet, open_detection
from raynas.detection.evaluation import DetectionScores, Predictions, evaluate_predictions
from raynas.errors import TrainingFailed, UsageError

from .coco_sets import Content, coco, write_coco


def opened(root: Path) -> DetectionSet:
    split = open_detection(DetectionDataConfig(source=str(root))).validation
    assert split is not None
    return split


def with_validation(root: Path, content: Content) -> DetectionSet:
    return opened(write_coco(root, train=content, validation=content))


def perfect(truth: DetectionSet) -> Predictions:
    """The truth itself, with crowds, which COCO's code ignores, and a score for each box."""
    boxes = truth.boxes
    return Predictions(
        boxes.picture_of_N,
        boxes.labels_N.astype(np.int64),
        np.linspace(0.99, 0.5, len(boxes)).astype(np.float32),
        boxes.boxes_N4,
    )


def noisy(truth: DetectionSet, seed: int = 0, copies: int = 3) -> Predictions:
    """Every box three times, moved and scaled, a fifth with another class, with scores that often tie."""
    rng = np.random.default_rng(seed)
    one = perfect(truth)
    boxes_M4 = np.tile(one.boxes_M4, (copies, 1))
    sides_M2 = boxes_M4[:, 2:] - boxes_M4[:, :2]
    moved_M2: Any = boxes_M4[:, :2] + sides_M2 * rng.normal(0, 0.12, sides_M2.shape)
    sides_M2 = sides_M2 * np.exp(rng.normal(0, 0.15, sides_M2.shape))
    labels_M = np.tile(one.labels_M, copies)
    is_other_M = rng.random(len(labels_M)) < 0.2
    labels_M[is_other_M] = rng.integers(1, len(truth.classes) + 1, is_other_M.sum())
    return Predictions(
        np.tile(one.pictures_M, copies),
        labels_M,
        (rng.integers(1, 20, len(labels_M)) / 20).astype(np.float32),
        np.concatenate([moved_M2, moved_M2 + sides_M2], axis=1).astype(np.float32),
    )


def reference(path: Path, truth: DetectionSet, predictions: Predictions) -> list[float]:
    """The twelve numbers of pycocotools, from the file as it is."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    order_M = np.argsort(predictions.pictures_M, kind="stable")
    rows = [
        {
            "image_id": truth.picture_ids[predictions.pictures_M[place]],
            "category_id": truth.classes.ids[predictions.labels_M[place] - 1],
            "bbox": [
                *predictions.boxes_M4[place, :2].tolist(),
                *(predictions.boxes_M4[place, 2:] - predictions.boxes_M4[place, :2]).tolist(),
            ],
            "score": float(predictions.scores_M[place]),
        }
        for place in order_M
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        file = COCO(str(path))
        evaluation = COCOeval(file, file.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers: list[float] = evaluation.stats.tolist()
    return numbers


def assert_equal(scores: DetectionScores, expected: list[float]) -> None:
    ours = [-1.0 if value is None else value for value in scores.numbers.values()]
    assert ours == pytest.approx(expected, rel=0, abs=1e-6)


@pytest.fixture(scope="module")
def tiny(real_data: Path) -> Path:
    root = real_data / "coco_tiny"
    if not root.is_dir():
        pytest.skip(f"no coco_tiny in {real_data}")
    return root


@pytest.mark.parametrize("seed", [0, 1])
def test_the_twelve_numbers_are_those_of_pycocotools_on_coco(tiny, seed):
    truth = opened(tiny)
    predictions = noisy(truth, seed)
    scores = evaluate_predictions(predictions, truth)
    assert 0.1 < scores.numbers["ap"] < 0.9
    assert (scores.num_pictures, scores.num_boxes, scores.num_predictions) == (50, 382, 3 * 382)
    assert_equal(scores, reference(tiny / "annotations" / "instances_val2017.json", truth, predictions))


def made_up(seed: int = 0) -> Content:
    rng = np.random.default_rng(seed)
    content = coco(12, boxes=[(0, 0, 1, 1)] * 6, size=(640, 480))
    for record in content["annotations"]:
        width, height = rng.uniform(4, 250, 2)
        record["bbox"] = [rng.uniform(0, 600 - width), rng.uniform(0, 440 - height), width, height]
        record.update(area=0.7 * width * height, iscrowd=int(rng.random() < 0.1))
    return content


def test_the_twelve_numbers_are_those_of_pycocotools_on_made_up_boxes(tmp_path):
    truth = made_up_set(tmp_path, made_up())
    for seed in range(5):
        predictions = noisy(truth, seed)
        expected = reference(tmp_path / "annotations" / "instances_val2017.json", truth, predictions)
        assert_equal(evaluate_predictions(predictions, truth), expected)


def made_up_set(root: Path, content: Content) -> DetectionSet:
    from .coco_sets import picture

    return opened(
        write_coco(root, train=content, validation=content, draw=lambda number: picture(number, (640, 480)))
    )


def test_the_truth_as_prediction_has_ap_1(tiny, tmp_path):
    for truth in (opened(tiny), with_validation(tmp_path, coco(6))):
        scores = evaluate_predictions(perfect(truth), truth)
        assert scores.numbers["ap"] == scores.numbers["ap50"] == scores.numbers["ap75"] == 1
        assert {value for value in scores.ap_of_classes.values() if value is not None} == {1.0}


def test_no_predictions_have_ap_0(tmp_path):
    truth = with_validation(tmp_path, coco(6))
    scores = evaluate_predictions(Predictions.joined([]), truth)
    assert scores.numbers["ap"] == scores.numbers["ar100"] == 0 and scores.num_predictions == 0


def test_there_is_no_number_where_there_is_nothing_to_measure(tmp_path):
    content = coco(3)
    for record in content["annotations"]:
        record["category_id"] = 7
    truth = with_validation(tmp_path / "small", content)
    scores = evaluate_predictions(perfect(truth), truth)
    assert scores.numbers["ap_small"] == 1
    assert scores.numbers["ap_medium"] is None and scores.numbers["ar_large"] is None
    assert scores.ap_of_classes == {"cat": None, "dog": 1.0, "owl": None}
    content["annotations"] = []
    empty = with_validation(tmp_path / "empty", content)
    assert set(evaluate_predictions(noisy(truth), empty).numbers.values()) == {None}


@pytest.mark.slow
def test_ids_that_are_texts_or_0_change_nothing(tmp_path):
    plain = made_up_set(tmp_path / "plain", made_up())
    expected = evaluate_predictions(noisy(plain), plain).numbers
    content = made_up()
    for record in content["images"]:
        record["id"] = f"p{record['id']}"
    for record in content["annotations"]:
        record.update(image_id=f"p{record['image_id']}", id=record["id"] - 1)
        record["category_id"] = {3: 0, 7: 1, 9: 2}[record["category_id"]]
    for number, record in enumerate(content["categories"]):
        record["id"] = number
    texts = made_up_set(tmp_path / "texts", content)
    assert evaluate_predictions(noisy(texts), texts).numbers == expected


def test_two_ranks_predictions_together_are_those_of_one(tmp_path):
    truth = made_up_set(tmp_path, made_up())
    whole = noisy(truth)
    parts = []
    for rank in range(2):
        is_own_M = whole.pictures_M % 2 == rank
        parts.append(
            Predictions(
                whole.pictures_M[is_own_M],
                whole.labels_M[is_own_M],
                whole.scores_M[is_own_M],
                whole.boxes_M4[is_own_M],
            )
        )
    gathered = Predictions.joined([Predictions.of_table(part.table()) for part in reversed(parts)])
    assert evaluate_predictions(gathered, truth) == evaluate_predictions(whole, truth)


def test_parquet_gives_the_same_numbers(tmp_path):
    truth = made_up_set(tmp_path / "in", made_up())
    convert_detection(DetectionDataConfig(source=str(tmp_path / "in")), tmp_path / "out", shard_bytes=10**9)
    rows = opened(tmp_path / "out")
    place_of = {own: place for place, own in enumerate(rows.picture_ids)}
    predictions = noisy(truth)
    moved = Predictions(
        np.array([place_of[truth.picture_ids[number]] for number in predictions.pictures_M]),
        predictions.labels_M,
        predictions.scores_M,
        predictions.boxes_M4,
    )
    ours, theirs = evaluate_predictions(predictions, truth).numbers, evaluate_predictions(moved, rows).numbers
    assert theirs == ours


def test_some_pictures_may_be_evaluated(tmp_path):
    truth = made_up_set(tmp_path, made_up())
    whole = perfect(truth)
    is_first_M = whole.pictures_M < 4
    first = Predictions(
        *(getattr(whole, name)[is_first_M] for name in ("pictures_M", "labels_M", "scores_M", "boxes_M4"))
    )
    scores = evaluate_predictions(first, truth, numbers=np.arange(4))
    assert scores.numbers["ap"] == 1 and scores.num_pictures == 4 and scores.num_boxes == 24
    assert evaluate_predictions(first, truth).numbers["ap"] < 0.9


@pytest.mark.parametrize(
    ("field", "value"), [("scores_M", np.nan), ("boxes_M4", np.nan), ("boxes_M4", np.inf)]
)
def test_a_prediction_that_is_not_finite_is_an_error_that_names_the_picture(tmp_path, field, value):
    truth = with_validation(tmp_path, coco(3))
    predictions = noisy(truth)
    getattr(predictions, field)[4] = value
    with pytest.raises(TrainingFailed, match=r"1 of 18: score .* in picture 102.*diverged"):
        evaluate_predictions(predictions, truth)


def test_the_outputs_of_a_detector_become_arrays():
    outputs: list[dict[str, Any]] = [
        {
            "boxes": torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]], requires_grad=True),
            "labels": torch.tensor([2, 1]),
            "scores": torch.tensor([0.5, 0.25], dtype=torch.bfloat16),
        },
        {"boxes": torch.empty(0, 4), "labels": torch.empty(0, dtype=torch.int64), "scores": torch.empty(0)},
    ]
    found = Predictions.of_outputs([9, 4], outputs)
    assert found.table().tolist() == [[9, 2, 0.5, 1, 2, 3, 4], [9, 1, 0.25, 5, 6, 7, 8]]
    assert len(Predictions.of_outputs([], [])) == 0


def test_what_is_not_installed_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("raynas.detection.evaluation.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install faster-coco-eval"):
        evaluate_predictions(Predictions.joined([]), with_validation(tmp_path, coco(2)))


def test_nothing_is_printed(tmp_path, capfd, caplog):
    truth = with_validation(tmp_path, coco(3))
    caplog.clear()
    evaluate_predictions(noisy(truth), truth)
    assert capfd.readouterr() == ("", "") and caplog.records == []
