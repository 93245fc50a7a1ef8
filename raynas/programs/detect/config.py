"""The complete config of a detector's training: the fields that `raynas detect --set` can override."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raynas.detection.config import DetectorConfig
from raynas.detection.data import DetectionDataConfig
from raynas.detection.summary import DetectionSummary
from raynas.detection.training import DetectionConfig
from raynas.programs.train.config import BaseTrainConfig, SourceConfig


class DetectDataConfig(DetectionDataConfig, SourceConfig):
    """Where pictures and boxes are, and how training pictures are changed."""

    flip: bool = True
    """Whether training pictures are mirrored at random."""
    processes: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes that decode pictures for each worker; 0 decodes in the worker itself. 'auto' takes one less
    than the worker has CPUs.
    """


class DetectConfig(BaseTrainConfig):
    """Everything that a detector's training depends on."""

    task = "detection"
    summary = DetectionSummary

    kind: Literal["detection"] = "detection"
    """Tells the folder's training.json from a classifier's."""
    data: DetectDataConfig
    detector: DetectorConfig = DetectorConfig()
    training: DetectionConfig = DetectionConfig()
