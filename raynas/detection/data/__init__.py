"""Pictures with boxes: COCO folders and Parquet files, read, checked, converted, and made into batches.

dataset.py opens a data set, batches.py makes batches of it, convert.py writes Parquet.
"""

from __future__ import annotations

from raynas.detection.data.batches import (
    DetectionBatch,
    DetectionBatches,
    Target,
    evaluation_batches,
    training_batches,
)
from raynas.detection.data.boxes import Boxes, DetectionClasses
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.convert import convert_detection
from raynas.detection.data.dataset import DetectionData, DetectionSet, TrainingSet, open_detection
from raynas.detection.data.examples import Augmentation

__all__ = [
    "Augmentation",
    "Boxes",
    "DetectionBatch",
    "DetectionBatches",
    "DetectionClasses",
    "DetectionData",
    "DetectionDataConfig",
    "DetectionSet",
    "Target",
    "TrainingSet",
    "convert_detection",
    "evaluation_batches",
    "open_detection",
    "training_batches",
]
