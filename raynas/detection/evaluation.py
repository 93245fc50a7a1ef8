"""Average precision as COCO measures it, over the predictions of all ranks.

faster-coco-eval computes it. Pictures and boxes get numbers of our own from 1, because an id that is 0, comes
twice or is a text gives wrong numbers there without a word. Pictures are numbered in ascending order of their
ids, in which COCO's own code takes predictions with equal scores.
"""

# Shapes: M predictions, N true boxes, K classes, T thresholds of overlap, R recalls.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raynas.detection.data.dataset import DetectionSet
from raynas.detection.data.pictures import Numbers
from raynas.errors import TrainingFailed, UsageError

NUMBERS = (
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar1",
    "ar10",
    "ar100",
    "ar_small",
    "ar_medium",
    "ar_large",
)
"""COCO's twelve numbers in its order: average precision over overlaps (IoU) from 0.5 to 0.95, at 0.5 and at
0.75; for areas below 32 x 32, up to 96 x 96 and above, in pixels; average recall with 1, 10 and 100 boxes per
picture; and by area with 100.
"""
_COLUMNS = 7


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Boxes that a detector found, over any number of pictures.

    Args:
        pictures_M: int64 numbers of the pictures in their DetectionSet.
        labels_M: int64, from 1.
        scores_M: float32 in [0, 1].
        boxes_M4: float32 left, top, right, bottom in pixels of the picture in its own size.
    """

    pictures_M: Numbers
    labels_M: Numbers
    scores_M: NDArray[np.float32]
    boxes_M4: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures_M)

    @staticmethod
    def of_outputs(numbers: Sequence[int], outputs: Sequence[Mapping[str, Any]]) -> Predictions:
        """The outputs of a detector of torchvision for one batch.

        Args:
            numbers: of the batch's pictures.
            outputs: boxes, labels and scores of each picture, as tensors on any device, or arrays.
        """
        return Predictions.joined(
            [
                Predictions(
                    np.full(len(output["labels"]), int(number), dtype=np.int64),
                    _array(output["labels"]).astype(np.int64),
                    _array(output["scores"]).astype(np.float32),
                    _array(output["boxes"]).astype(np.float32).reshape(-1, 4),
                )
                for number, output in zip(numbers, outputs, strict=True)
            ]
        )

    @staticmethod
    def joined(parts: Sequence[Predictions]) -> Predictions:
        """The predictions of several batches or ranks together."""
        return Predictions(
            np.concatenate([np.empty(0, np.int64), *(part.pictures_M for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.labels_M for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.scores_M for part in parts)]),
            np.concatenate([np.empty((0, 4), np.float32), *(part.boxes_M4 for part in parts)]),
        )

    def table(self) -> NDArray[np.float64]:
        """One float64 row per prediction: picture, label, score, and the four numbers of the box; [M, 7]."""
        return np.concatenate(
            [self.pictures_M[:, None], self.labels_M[:, None], self.scores_M[:, None], self.boxes_M4], axis=1
        )

    @staticmethod
    def of_table(table: NDArray[np.float64]) -> Predictions:
        """The predictions of which `table` made a table."""
        assert table.ndim == 2 and table.shape[1] == _COLUMNS
        return Predictions(
            table[:, 0].astype(np.int64),
            table[:, 1].astype(np.int64),
            table[:, 2].astype(np.float32),
            table[:, 3:].astype(np.float32),
        )


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """What an evaluation measured; None where there is nothing to measure, such as no small boxes at all.

    Args:
        numbers: by NUMBERS, as fractions.
        ap_of_classes: average precision by name of the class, in the order of the classes.
    """

    numbers: dict[str, float | None]
    ap_of_classes: dict[str, float | None]
    num_pictures: int
    num_boxes: int
    num_predictions: int


def check_installed() -> None:
    """Raises UsageError unless faster-coco-eval is installed: better before a training than after it."""
    if find_spec("faster_coco_eval") is None:
        raise UsageError(
            "Evaluating a detector needs faster-coco-eval, which is not installed. Run: pip install "
            "faster-coco-eval"
        )


def evaluate_predictions(
    predictions: Predictions, truth: DetectionSet, *, numbers: Numbers | None = None
) -> DetectionScores:
    """Measures predictions against the boxes of a split, crowds included as COCO prescribes.

    Args:
        predictions: of all ranks; each picture was on exactly one of them.
        numbers: the pictures that were looked at; None for all.
    Raises:
        UsageError: faster-coco-eval is not installed.
        TrainingFailed: a prediction is not a finite number.
    """
    check_installed()
    from faster_coco_eval import COCO, COCOeval_faster

    chosen = np.arange(truth.num_pictures) if numbers is None else np.unique(numbers)
    _check(predictions, truth, chosen)
    number_of_P = _numbered(truth)
    dataset = _truth(truth, chosen, number_of_P)
    found = COCO(dataset)
    rows = _rows(predictions, number_of_P)
    evaluation = COCOeval_faster(found, found.loadRes(rows), "bbox", print_function=_silent)
    evaluation.params.imgIds = number_of_P[chosen].tolist()
    evaluation.params.catIds = list(range(1, len(truth.classes) + 1))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision_TRK = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    return DetectionScores(
        numbers={
            name: _measured(value)
            for name, value in zip(NUMBERS, evaluation.stats[: len(NUMBERS)], strict=True)
        },
        ap_of_classes={
            name: _mean(precision_TRK[:, :, place]) for place, name in enumerate(truth.classes.names)
        },
        num_pictures=len(chosen),
        num_boxes=len(dataset["annotations"]),
        num_predictions=len(predictions),
    )


def _check(predictions: Predictions, truth: DetectionSet, chosen: Numbers) -> None:
    is_wrong_M = ~np.isfinite(predictions.scores_M) | ~np.isfinite(predictions.boxes_M4).all(axis=1)
    if is_wrong_M.any():
        index = int(is_wrong_M.argmax())
        raise TrainingFailed(
            f"The detector predicts numbers that are not finite, {int(is_wrong_M.sum()):,} of "
            f"{len(predictions):,}: score {predictions.scores_M[index]:g} and box "
            f"{predictions.boxes_M4[index].tolist()} in picture "
            f"{truth.picture_ids[predictions.pictures_M[index]]!r}. It has diverged: train it with a lower "
            "learning rate, a longer warm-up, or gradients that are clipped."
        )
    assert np.isin(predictions.pictures_M, chosen).all(), "a prediction for a picture that was not looked at"
    assert ((predictions.labels_M >= 1) & (predictions.labels_M <= len(truth.classes))).all(), "unknown label"


def _numbered(truth: DetectionSet) -> Numbers:
    """The number of each picture, from 1 in ascending order of their ids, numbers before texts."""
    ids = truth.picture_ids
    order = sorted(range(len(ids)), key=lambda place: (isinstance(ids[place], str), ids[place]))
    number_of_P = np.empty(len(ids), dtype=np.int64)
    number_of_P[order] = np.arange(1, len(ids) + 1)
    return number_of_P


def _truth(truth: DetectionSet, chosen: Numbers, number_of_P: Numbers) -> dict[str, Any]:
    boxes = truth.boxes
    pictures_N = boxes.picture_of_N
    corners_N4 = boxes.boxes_N4.astype(np.float64)
    sides_N2 = corners_N4[:, 2:] - corners_N4[:, :2]
    places = np.flatnonzero(np.isin(pictures_N, chosen)).tolist()
    return {
        "info": {},
        "images": [{"id": number} for number in number_of_P[chosen].tolist()],
        "annotations": [
            {
                "id": index + 1,
                "image_id": int(number_of_P[pictures_N[place]]),
                "category_id": int(boxes.labels_N[place]),
                "bbox": [*corners_N4[place, :2].tolist(), *sides_N2[place].tolist()],
                "area": float(boxes.areas_N[place]),
                "iscrowd": int(boxes.is_crowd_N[place]),
            }
            for index, place in enumerate(places)
        ],
        "categories": [{"id": label} for label in range(1, len(truth.classes) + 1)],
    }


def _rows(predictions: Predictions, number_of_P: Numbers) -> NDArray[np.float64]:
    """Rows for faster-coco-eval: picture, left, top, width, height, score, class."""
    # By picture, so that equal scores come in an order that doesn't depend on which rank had which picture.
    order_M = np.argsort(predictions.pictures_M, kind="stable")
    corners_M4 = predictions.boxes_M4[order_M].astype(np.float64)
    return np.concatenate(
        [
            number_of_P[predictions.pictures_M[order_M], None],
            corners_M4[:, :2],
            corners_M4[:, 2:] - corners_M4[:, :2],
            predictions.scores_M[order_M, None],
            predictions.labels_M[order_M, None],
        ],
        axis=1,
    )


def _measured(value: float) -> float | None:
    # COCO's code says -1 where there is nothing to measure.
    return None if value < 0 else float(value)


def _mean(precision: NDArray[np.float64]) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _silent(*_: object) -> None:
    """faster-coco-eval tells its progress through this."""


def _array(values: Any) -> NDArray[Any]:
    # By way of float64, because NumPy has no bfloat16.
    return np.asarray(values.detach().cpu().double() if hasattr(values, "detach") else values)
