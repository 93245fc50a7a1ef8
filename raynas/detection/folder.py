"""A trained detector on disk: FOLDER/model.safetensors with the weights, FOLDER/model.json with the rest.

The files have the names of a trained classifier's; "task" in model.json tells them apart. Nothing is
unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from raynas.cells.genotype_field import GenotypeField
from raynas.config import FrozenModel, validated
from raynas.detection.complexity import SIDE_MULTIPLE, detector_complexity
from raynas.detection.config import DetectorConfig
from raynas.detection.detector import build_detector
from raynas.detection.plan import DetectorPlan, plan_detector
from raynas.errors import ModelError, UsageError
from raynas.files import LAST_MODEL_FOLDER, parse_json
from raynas.models.fitting import check_fit
from raynas.models.folder import INFO_FILE, WEIGHTS_FILE, model_files, write_model_files
from raynas.models.preprocess import Preprocessing
from raynas.models.tensor_files import read_tensor_file
from raynas.nn import NetworkConfig, NetworkSpec

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

TASK = "detection"


class DetectorInfo(FrozenModel):
    """The content of a detector's model.json."""

    format: Literal[1] = 1
    """Version of this file format."""
    task: Literal["detection"] = "detection"
    """Tells a detector from a classifier."""
    raynas: str = Field(default_factory=lambda: version("raynas"))
    """Version of raynas that wrote the file."""
    genotype: GenotypeField
    """The cells; in JSON as Genotype.to_dict writes them."""
    network: NetworkConfig
    """How they are stacked."""
    image_size: int = Field(ge=1)
    """Pixels per side of the images that the network was first trained for."""
    detector: DetectorConfig
    """What is built on the network's maps, and how pictures are scaled."""
    mean: tuple[float, ...]
    """Subtracted from each channel's values in [0, 1]; one number for grey pictures."""
    std: tuple[PositiveFloat, ...]
    """What each channel is divided by after that."""
    classes: tuple[str, ...] = Field(min_length=1)
    """Names of the classes, by label from 1."""
    class_ids: tuple[int | str, ...]
    """The classes' ids in the data set, in the same order."""
    training: dict[str, Any] = Field(default_factory=dict)
    """How it was trained: recipe, data, epochs, seed, precision by COCO's numbers, versions, date."""

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise ValueError(
                f"mean and std have {len(self.mean)} and {len(self.std)} numbers; give 1 or 3 each"
            )
        if len(self.class_ids) != len(self.classes):
            raise ValueError(f"there are {len(self.class_ids)} ids for {len(self.classes)} classes")
        return self

    @property
    def spec(self) -> NetworkSpec:
        """The network under the detector, without classes."""
        return NetworkSpec(self.genotype, self.network, len(self.mean), 0, self.image_size)

    @property
    def plan(self) -> DetectorPlan:
        """The detector as a value."""
        return plan_detector(self.spec, self.detector, num_classes=len(self.classes))

    def build(self) -> FasterRCNN:
        """The detector with random weights and frozen norms."""
        preprocessing = Preprocessing(self.image_size, 1.0, self.mean, self.std)
        return build_detector(
            self.spec, self.detector, num_classes=len(self.classes), preprocessing=preprocessing
        )


@dataclass(frozen=True, slots=True)
class LoadedDetector:
    """A detector in evaluation mode, and its description."""

    detector: FasterRCNN
    info: DetectorInfo


def save_detector(place: Path, detector: torch.nn.Module, info: DetectorInfo) -> None:
    """Writes both files, each of them completely or not at all.

    Args:
        place: a folder, which is created if needed, or NAME.safetensors.
    Raises:
        ModelError: the files can't be written.
    """
    write_model_files(place, detector, info)


def load_detector(place: str | Path) -> LoadedDetector:
    """The detector of a model folder or of NAME.safetensors with NAME.json beside it, on the CPU; of a
    training's folder, that of its last epoch.

    Raises:
        ModelError: a file is missing or damaged, is of a classifier, or the two don't belong together.
    """
    weights, description = model_files(detector_place(Path(place)))
    info = _read_info(description)
    try:
        state = read_tensor_file(weights)
        _check_size(info, state)
        detector = info.build()
        check_fit(detector.state_dict(), state)
    except UsageError as error:
        raise ModelError(f"{weights} does not go with {description}: {error}") from error
    detector.load_state_dict(state)
    return LoadedDetector(detector.eval(), info)


def _check_size(info: DetectorInfo, state: Mapping[str, Tensor]) -> None:
    """ModelError if the detector has more weights than the file.

    Checked before it is built: a damaged description may describe one that fits in no memory.
    """
    needed = detector_complexity(info.plan, (SIDE_MULTIPLE, SIDE_MULTIPLE)).total.parameters
    given = sum(tensor.numel() for tensor in state.values())
    if needed > given:
        raise ModelError(f"that detector has {needed:,} weights, the file {given:,} numbers.")


def is_detector(place: Path) -> bool:
    """Whether a description of a detector is there, or in a training's folder; damaged ones are not."""
    try:
        value = parse_json(model_files(detector_place(place))[1].read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and value.get("task") == TASK


def read_detector_info(place: Path) -> DetectorInfo:
    """The description of a detector on disk; raises what `load_detector` raises."""
    return _read_info(model_files(detector_place(place))[1])


def detector_place(place: Path) -> Path:
    """Where the files of a detector are: `place`, or below it where it is a training's folder."""
    inner = place / LAST_MODEL_FOLDER
    is_training = not model_files(place)[1].is_file() and model_files(inner)[1].is_file()
    return inner if is_training else place


def _read_info(path: Path) -> DetectorInfo:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} can't be read as JSON: {error}. Give a folder with {INFO_FILE} and {WEIGHTS_FILE}, as "
            "raynas detect writes it."
        ) from error
    if not isinstance(value, dict) or value.get("task") != TASK:
        raise ModelError(
            f"{path} does not describe a detector. Give a folder that raynas detect has written."
        )
    try:
        return validated(DetectorInfo, value)
    except UsageError as error:
        raise ModelError(f"{path} does not describe a detector: {error}") from error
