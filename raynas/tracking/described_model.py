"""What MLflow's model registry is told of a trained network, be it a classifier or a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from raynas.cells.genotype import Genotype
from raynas.config import scrubbed
from raynas.detection.card import detector_card
from raynas.detection.complexity import detector_complexity
from raynas.detection.evaluation import NUMBERS
from raynas.detection.folder import DetectorInfo, is_detector, read_detector_info
from raynas.detection.letterbox import Letterbox
from raynas.detection.predictor import COLUMNS
from raynas.models.card import model_card
from raynas.models.folder import WEIGHTS_FILE, ModelInfo, read_info

_PICTURES = Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, -1))])
"""Pixels. The tensor has no name: with one MLflow would accept nothing but dicts of arrays."""
_TYPES = {"int64": DataType.long, "float32": DataType.float, "str": DataType.string}


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A trained network as the model registry shows it."""

    genotype: Genotype
    tags: dict[str, str]
    """What distinguishes the versions of one registered model; `epoch` is always among them."""
    text: str
    """One sentence about the version."""
    model_type: str
    scores: tuple[str, ...]
    """The run's curves of which the network gets its epoch's points."""
    loader: str
    """Module that MLflow imports, by this name, whenever the model is loaded."""
    signature: ModelSignature
    card: str
    """The model card, in Markdown."""


def describe(folder: Path) -> DescribedModel:
    """The network of a model folder; raises ModelError as `read_info` does."""
    if is_detector(folder):
        return _detector(read_detector_info(folder))
    return _classifier(read_info(folder))


def _classifier(info: ModelInfo) -> DescribedModel:
    cost = info.spec.complexity()
    tags = _tags(info, ("top1", "top5"), cost.parameters)
    return DescribedModel(
        genotype=info.genotype,
        tags=tags,
        text=_text(tags, "top1", "top-1"),
        model_type="image classifier",
        scores=("top1", "top5"),
        loader="raynas.models.classifier",
        signature=ModelSignature(
            _PICTURES, Schema([TensorSpec(np.dtype(np.float32), (-1, info.num_classes))])
        ),
        card=model_card(info, cost, file=WEIGHTS_FILE, difference=None),
    )


def _detector(info: DetectorInfo) -> DescribedModel:
    letterbox = Letterbox.of(info.detector)
    parameters = detector_complexity(info.plan, letterbox.image_size).total.parameters
    tags = _tags(info, ("ap", "ap50"), parameters)
    return DescribedModel(
        genotype=info.genotype,
        tags=tags,
        text=_text(tags, "ap", "AP"),
        model_type="object detector",
        scores=NUMBERS,
        loader="raynas.detection.predictor",
        signature=ModelSignature(
            _PICTURES, Schema([ColSpec(_TYPES[kind], name) for name, kind in COLUMNS.items()])
        ),
        card=detector_card(info, letterbox, file=WEIGHTS_FILE),
    )


def _tags(info: ModelInfo | DetectorInfo, scores: tuple[str, ...], parameters: int) -> dict[str, str]:
    known = info.training
    tags: dict[str, Any] = {
        "epoch": known["epochs"],
        **{name: known.get(name) for name in scores},
        "recipe": known["recipe"],
        "data": known["data"],
        "arch_id": info.genotype.arch_id,
        "parameters": parameters,
    }
    return {key: str(value) for key, value in scrubbed(tags).items() if value is not None}


def _text(tags: Mapping[str, str], score: str, name: str) -> str:
    measured = f", {name} {float(tags[score]):.4f}" if score in tags else ""
    return f"Trained on {tags['data']} by recipe {tags['recipe']}: epoch {tags['epoch']}{measured}."
