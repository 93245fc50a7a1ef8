"""What an evaluation depends on besides the network: the fields that `raynas evaluate --set` can override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from raynas.config import FrozenModel, differences, merged, validated
from raynas.data.config import DEFAULT_LABEL_COLUMN
from raynas.detection.config import DetectorConfig
from raynas.detection.data import DetectionDataConfig
from raynas.errors import InvalidConfig

Split = Literal["train", "validation"]
Processes = Annotated[int, Field(ge=0)] | Literal["auto"]
OF_EVALUATION = {
    "sides",
    "longest_side",
    "boxes.score_threshold",
    "boxes.nms",
    "boxes.detections",
    "proposals.candidates",
    "proposals.kept",
    "proposals.nms",
}
"""Fields of a detector that say how it is evaluated; the others are those that it was trained with."""


class ImagesConfig(FrozenModel):
    """Where the images of a classifier are."""

    source: str = Field(min_length=1)
    """'digits', Parquet files or a folder of class folders, here or at s3:// or gs://."""
    label_column: str = Field(DEFAULT_LABEL_COLUMN, min_length=1)
    """Name of the column of class indexes, integers from 0, in Parquet files."""
    image_column: str | None = Field(None, min_length=1)
    """Name of the column of images in Parquet files. Defaults to image or img, or else to the only column of
    images.
    """
    validation_images: int | None = Field(None, ge=1)
    """How many images the training held out of this data, where that isn't recorded. Defaults to a tenth."""
    skip_broken: bool = False
    """Leave out shards that can't be read instead of refusing the data set."""
    processes: Processes = "auto"
    """Processes that decode images; 0 decodes in this one. 'auto' takes none for a few images."""


class BoxedPicturesConfig(DetectionDataConfig):
    """Where the pictures and boxes of a detector are."""

    processes: Processes = "auto"
    """See ImagesConfig."""


class ClassifierEvaluationConfig(FrozenModel):
    """Settings of a classifier's evaluation."""

    data: ImagesConfig


class DetectorEvaluationConfig(FrozenModel):
    """Settings of a detector's evaluation."""

    data: BoxedPicturesConfig
    detector: DetectorConfig


def detector_config(settings: Mapping[str, Any], detector: DetectorConfig) -> DetectorEvaluationConfig:
    """The settings of a detector's evaluation.

    Args:
        detector: as it was trained.
    Raises:
        InvalidConfig: a setting is unknown, out of bounds, or was fixed by the training.
    """
    own = detector.model_dump(mode="json")
    config = validated(DetectorEvaluationConfig, merged({"detector": own}, settings))
    changed = differences(own, config.detector.model_dump(mode="json"))
    for name in sorted(set(changed) - OF_EVALUATION):
        old, new = changed[name]
        raise InvalidConfig(
            f"detector.{name} = {new!r} can't be changed: the detector was trained with {old!r}. Allowed are "
            + ", ".join(f"detector.{allowed}" for allowed in sorted(OF_EVALUATION))
            + "."
        )
    return config
