"""What a detector's training reports after each epoch: COCO's twelve numbers, and the precision per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from raynas.detection.evaluation import NUMBERS, DetectionScores
from raynas.training.final_config import EpochSummary


class DetectionSummary(EpochSummary):
    """EpochSummary of a detector. Fractions, over all ranks; None where there is nothing to measure."""

    score = "ap"

    ap: float = Field(ge=0, le=1)
    """Mean over classes and over overlaps (IoU) from 0.5 to 0.95; COCO's main number."""
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    ap_of_classes: dict[str, float | None]
    """Average precision by name of the class."""
    pictures: tuple[bytes, ...] = Field((), exclude=True, repr=False)
    """PNG files of validation pictures with true and predicted boxes."""

    def images(self) -> Mapping[str, bytes]:
        """The pictures, as they are numbered in MLflow."""
        return {f"validation-{number}": picture for number, picture in enumerate(self.pictures, start=1)}

    def without_images(self) -> Self:
        """See EpochSummary."""
        return self.model_copy(update={"pictures": ()})

    def metrics(self) -> dict[str, float]:
        """The measured numbers by name; a class's precision is called ap/CLASS."""
        plain = self.model_dump(exclude={"epoch", "ap_of_classes"})
        classes = {f"ap/{name}": value for name, value in self.ap_of_classes.items()}
        return {name: value for name, value in {**plain, **classes}.items() if value is not None}


def summary_fields(scores: DetectionScores) -> dict[str, object]:
    """The fields that an evaluation adds to EpochSummary."""
    numbers = {name: scores.numbers[name] for name in NUMBERS}
    # Trainings without a box to measure by are refused before they start.
    return {**numbers, "ap": scores.numbers["ap"] or 0.0, "ap_of_classes": scores.ap_of_classes}
