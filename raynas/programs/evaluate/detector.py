"""Measures a detector by COCO's numbers on pictures with boxes."""

# Shapes: M predictions, K classes.

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from raynas.detection.data import (
    DetectionClasses,
    DetectionDataConfig,
    DetectionSet,
    evaluation_batches,
    open_detection,
)
from raynas.detection.data.dataset import DetectionData
from raynas.detection.evaluation import DetectionScores, Predictions, check_installed, evaluate_predictions
from raynas.detection.folder import DetectorInfo, LoadedDetector
from raynas.detection.training import predict
from raynas.errors import DataError
from raynas.programs.evaluate.classes import class_order
from raynas.programs.evaluate.config import BoxedPicturesConfig, DetectorEvaluationConfig, Split
from raynas.training.config import Precision
from raynas.training.device import autocast_type

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

BATCH_SIZE = 1
"""Pictures per forward pass unless another number is given: alone, a picture gets no padding at its edges."""
FEW_PICTURES = 128
"""Fewer are decoded in this process: starting others would take longer."""


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detector found in a split, and how good it is.

    Args:
        predictions: labels are those of the split's classes.
        described: which pictures they are, for people.
    """

    truth: DetectionSet
    predictions: Predictions
    scores: DetectionScores
    described: str


def detect(
    model: LoadedDetector,
    config: DetectorEvaluationConfig,
    split: Split | None,
    *,
    device: str,
    batch_size: int = BATCH_SIZE,
    precision: Precision = "auto",
) -> Detected:
    """Runs a detector over all pictures of a split.

    Args:
        config: how it is evaluated, and on what.
        split: None for the validation split where there is one, or else all pictures.
        precision: number format of the forward passes.
    Raises:
        UsageError: the data can't be used, has other classes, or has no box to measure by.
        TrainingFailed: a prediction is not a finite number.
    """
    check_installed()
    info = model.info
    fields = config.data.model_dump(include=set(DetectionDataConfig.model_fields))
    data = open_detection(DetectionDataConfig(**fields))
    truth, described = _chosen(data, config.data.source, split)
    order = class_order(
        info.classes, len(info.classes), truth.classes.names, len(truth.classes), data=truth.file
    )
    batches = evaluation_batches(
        truth,
        num_processes=_processes(config.data, truth),
        device=device,
        num_channels=len(info.mean),
    )
    detector = _adapted(model, config).to(device).eval()
    found = predict(
        detector, batches.batches(epoch=0, batch_size=batch_size), autocast_type(precision, device)
    )
    predictions = _relabelled(found, order, truth.classes)
    return Detected(truth, predictions, evaluate_predictions(predictions, truth), described)


def _chosen(data: DetectionData, source: str, split: Split | None) -> tuple[DetectionSet, str]:
    chosen = data.train if split == "train" else data.validation
    described = f"{'training' if split == 'train' else 'validation'} pictures of {data.name}"
    if chosen is None and split is None:
        chosen = data.train
        described = f"pictures of {data.name}, which are all that it has, as it names no validation split"
    if chosen is None:
        raise DataError(
            f"{source!r} has no {split} pictures. Set data.{split}_annotations to their boxes, or leave the "
            "split (--split) out."
        )
    if chosen.boxes.is_crowd_N.all():
        raise DataError(
            f"{chosen.file} has no box to measure by: {len(chosen.boxes)} boxes, all of crowds. Give "
            "pictures with boxes of single objects."
        )
    return chosen, f"{chosen.num_pictures:,} {described}"


def _processes(data: BoxedPicturesConfig, truth: DetectionSet) -> int:
    if data.processes != "auto":
        return data.processes
    return 0 if truth.num_pictures < FEW_PICTURES else os.cpu_count() or 1


def _adapted(model: LoadedDetector, config: DetectorEvaluationConfig) -> FasterRCNN:
    """The detector with the settings of this evaluation."""
    if config.detector == model.info.detector:
        return model.detector
    info: DetectorInfo = model.info.model_copy(update={"detector": config.detector})
    detector = info.build()
    detector.load_state_dict(model.detector.state_dict())
    return detector


def _relabelled(found: Predictions, order: tuple[int, ...], classes: DetectionClasses) -> Predictions:
    """Predictions with the labels of the data instead of the detector's."""
    assert len(order) == len(classes)
    label_of_K = np.empty(len(order) + 1, dtype=np.int64)
    label_of_K[np.array(order) + 1] = np.arange(1, len(order) + 1)
    return replace(found, labels_M=label_of_K[found.labels_M])
