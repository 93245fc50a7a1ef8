"""Evaluates a trained network on labelled images; `raynas evaluate` as a function. Without Ray and MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raynas.config import merged, nested, suggests_arguments, validated
from raynas.detection.evaluation import DetectionScores
from raynas.detection.folder import LoadedDetector
from raynas.errors import InvalidConfig
from raynas.models.folder import LoadedModel
from raynas.programs.evaluate import classifier, detector
from raynas.programs.evaluate.config import ClassifierEvaluationConfig, Split, detector_config
from raynas.programs.evaluate.images import find_images
from raynas.programs.evaluate.model import FoundModel, find_model
from raynas.programs.evaluate.pictures import (
    check_pictures,
    detector_pictures,
    mistake_pictures,
    write_pictures,
)
from raynas.training.classification_scores import ClassificationScores


@dataclass(frozen=True, slots=True)
class ClassifierEvaluation:
    """How good a classifier is on a data set.

    Args:
        model: the model folder.
        images: which images were measured, in words.
        classes: their names in the order of the network.
        pictures: files with the errors that the network was surest of.
    """

    model: Path
    images: str
    classes: tuple[str, ...]
    scores: ClassificationScores
    pictures: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DetectorEvaluation:
    """How good a detector is on a data set.

    Args:
        model: the model folder.
        images: which pictures were measured, in words.
        score_threshold: detections with lower scores don't count.
        pictures: files with true boxes beside predicted ones.
    """

    model: Path
    images: str
    scores: DetectionScores
    score_threshold: float
    pictures: tuple[Path, ...]


@suggests_arguments
def evaluate(
    what: str | Path,
    *,
    data: str | None = None,
    best: bool = False,
    split: Split | None = None,
    batch_size: int | None = None,
    pictures: int = 0,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ClassifierEvaluation | DetectorEvaluation:
    """Measures a trained classifier or detector, on this machine's GPU if it has one.

    Args:
        what: the folder of a training or of a trained network.
        data: images to measure it on (data.source): class folders or Parquet files for a classifier, a COCO
            folder or Parquet files with boxes for a detector; here or at s3:// or gs://.
        best: the network of the training's best epoch instead of its last.
        split: 'train' or 'validation'. Defaults to the validation split; where the data has none, to what the
            training held out, if it is the training's own data, or else to all images.
        batch_size: images per forward pass. Defaults to 64 for a classifier and 1 for a detector.
        pictures: number of pictures to write into `out`: a classifier's surest errors; a detector's boxes
            beside the true ones.
        out: folder for the pictures.
        settings: fields of `data` and, for a detector, of `detector`, nested, such as
            {"detector": {"boxes": {"score_threshold": 0}}}.
    Raises:
        UsageError: there is no such network, or the data can't be used for it.
        TrainingFailed: the network's outputs are not finite.
    """
    if batch_size is not None and batch_size < 1:
        raise InvalidConfig(f"batch_size (--batch-size) = {batch_size}: give at least 1.")
    folder = None if out is None else Path(out)
    check_pictures(pictures, folder)
    found = find_model(what, best=best)
    given = merged(nested(settings or {}), {} if data is None else {"data": {"source": data}})
    if not isinstance(given.get("data"), Mapping) or "source" not in given["data"]:
        raise InvalidConfig(
            "No images are given. Set data.source (--data) to those to measure the network on."
        )
    request = _Request(found, given, split, batch_size, pictures, folder)
    return _detector(request) if isinstance(found.loaded, LoadedDetector) else _classifier(request)


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of `evaluate`, looked at."""

    found: FoundModel
    settings: Mapping[str, Any]
    split: Split | None
    batch_size: int | None
    num_pictures: int
    out: Path | None

    @property
    def device(self) -> str:
        return "cuda" if torch.cuda.is_available() else "cpu"


def _classifier(request: _Request) -> ClassifierEvaluation:
    model, place = request.found.loaded, request.found.place
    assert isinstance(model, LoadedModel)
    config = validated(ClassifierEvaluationConfig, request.settings)
    images = find_images(config.data, model.info, request.found.recorded, request.split)
    classified = classifier.classify(
        model,
        images,
        data=repr(config.data.source),
        device=request.device,
        batch_size=request.batch_size or classifier.BATCH_SIZE,
        num_mistakes=request.num_pictures,
        precision=request.found.precision,
    )
    written = []
    if request.out is not None:
        drawn = mistake_pictures(classified.mistakes, classified.classes)
        written = write_pictures(drawn, request.out, request.num_pictures)
    return ClassifierEvaluation(
        place, images.described, classified.classes, classified.scores, tuple(written)
    )


def _detector(request: _Request) -> DetectorEvaluation:
    model, place = request.found.loaded, request.found.place
    assert isinstance(model, LoadedDetector)
    config = detector_config(request.settings, model.info.detector)
    detected = detector.detect(
        model,
        config,
        request.split,
        device=request.device,
        batch_size=request.batch_size or detector.BATCH_SIZE,
        precision=request.found.precision,
    )
    written = []
    if request.out is not None:
        drawn = detector_pictures(detected, request.num_pictures)
        written = write_pictures(drawn, request.out, request.num_pictures)
    return DetectorEvaluation(
        place,
        detected.described,
        detected.scores,
        config.detector.boxes.score_threshold,
        tuple(written),
    )
