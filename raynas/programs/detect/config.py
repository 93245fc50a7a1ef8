"""The complete config of a detector's training: the fields that `raynas detect --set` can override."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raynas.detection.config import DetectorConfig
from raynas.detection.data import DetectionDataConfig
from raynas.detection.summary import DetectionSummary
from raynas.detection.training import DetectionConfig
from raynas.programs.train.config import BaseTrainConfig, SourceConfig
from raynas.tracking.config import TrainTrackingConfig


class DetectDataConfig(DetectionDataConfig, SourceConfig):
    """Where pictures and boxes are, and how training pictures are changed."""

    flip: bool = True
    """Whether training pictures are mirrored at random."""
    processes: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes that decode pictures for each worker; 0 decodes in the worker itself. 'auto' takes one less
    than the worker has CPUs.
    """


class DetectTrackingConfig(TrainTrackingConfig):
    """Where a detector's training is written, and what of it."""

    pictures: int = Field(4, ge=0, le=64)
    """Validation pictures with true and predicted boxes that MLflow gets after each epoch; 0 for none."""


class DetectConfig(BaseTrainConfig):
    """Everything that a detector's training depends on."""

    task = "detection"
    summary = DetectionSummary

    kind: Literal["detection"] = "detection"
    """Tells the folder's training.json from a classifier's."""
    data: DetectDataConfig
    detector: DetectorConfig = DetectorConfig()
    training: DetectionConfig = DetectionConfig()
    tracking: DetectTrackingConfig = DetectTrackingConfig()
