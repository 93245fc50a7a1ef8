"""The model folder: a trained network on disk, as training writes it and everything else reads it.

FOLDER/model.safetensors has the weights, FOLDER/model.json everything else (ModelInfo). The two files can
also have another name, NAME.safetensors and NAME.json. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import safetensors.torch
import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from raynas.cells.genotype_field import GenotypeField
from raynas.config import FrozenModel, validated
from raynas.data.config import MAX_IMAGE_SIZE
from raynas.errors import ModelError, UsageError
from raynas.files import parse_json, replace_file
from raynas.models.fitting import load_weights
from raynas.models.preprocess import Preprocessing
from raynas.models.tensor_files import read_tensor_file
from raynas.nn import Network, NetworkConfig, NetworkSpec

WEIGHTS_FILE, INFO_FILE = "model.safetensors", "model.json"
MODEL_FORMAT = 1
TASK = "classification"
"""What a network is for, where its description doesn't say it."""
REFERENCE_TASK = "reference network"
"""What a network is for that is not made of cells (raynas.models.reference)."""


class ModelInfo(FrozenModel):
    """The content of model.json: what is needed besides the weights to rebuild the network and to feed it."""

    format: Literal[1] = 1
    """Version of this file format."""
    raynas: str = Field(default_factory=lambda: version("raynas"))
    """Version of raynas that wrote the file."""
    genotype: GenotypeField
    """The cells; in JSON as Genotype.to_dict writes them."""
    network: NetworkConfig
    """How they are stacked."""
    in_channels: Literal[1, 3]
    """1 for grey images, 3 for colour."""
    num_classes: int = Field(ge=0)
    """0 for a network that returns pooled features instead of logits."""
    image_size: int = Field(ge=1, le=MAX_IMAGE_SIZE)
    """Pixels per side of the images that it was trained for."""
    mean: tuple[float, ...]
    """Subtracted from each channel's values in [0, 1]."""
    std: tuple[PositiveFloat, ...]
    """What each channel is divided by after that."""
    crop_fraction: float = Field(1.0, ge=0.01, le=1)
    """Side of the central crop, as a fraction of the resized image's shorter side."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How images are resized."""
    classes: tuple[str, ...] | None = None
    """Names of the classes, in the order of the logits. None means that they are not known."""
    training: dict[str, Any] = Field(default_factory=dict)
    """How it was trained, if known: recipe, data, epochs, seed, accuracy, versions, git commit, date."""

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.in_channels:
                raise ValueError(
                    f"{name} has {len(values)} numbers; in_channels = {self.in_channels} needs as many"
                )
        if self.classes is not None and len(self.classes) != self.num_classes:
            raise ValueError(f"there are {len(self.classes)} names of classes for {self.num_classes} classes")
        return self

    @classmethod
    def of(
        cls, network: Network, *, mean: tuple[float, ...], std: tuple[float, ...], **fields: Any
    ) -> ModelInfo:
        """The description of `network`; `fields` are crop_fraction, interpolation, classes and training."""
        return cls(
            genotype=network.genotype,
            network=network.config,
            in_channels=len(mean),
            num_classes=network.num_classes,
            image_size=network.image_size,
            mean=mean,
            std=std,
            **fields,
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the network's input."""
        return Preprocessing(
            self.image_size, self.crop_fraction, self.mean, self.std, interpolation=self.interpolation
        )

    @property
    def spec(self) -> NetworkSpec:
        """What the network is built from."""
        return NetworkSpec(self.genotype, self.network, self.in_channels, self.num_classes, self.image_size)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network in evaluation mode, and its description."""

    network: Network
    info: ModelInfo


def is_model(place: Path) -> bool:
    """Whether a model description is there, be it intact or damaged."""
    return model_files(place)[1].is_file()


def save_model(place: Path, network: Network, info: ModelInfo) -> None:
    """Writes both files, each of them completely or not at all.

    The auxiliary head is written too, so that the network can be trained further.

    Args:
        place: a folder, which is created if needed, or NAME.safetensors.
        info: the description of this network, from ModelInfo.of.
    Raises:
        ModelError: the files can't be written.
    """
    described = (info.genotype, info.network, info.num_classes)
    assert described == (network.genotype, network.config, network.num_classes)
    write_model_files(place, network, info)


def write_model_files(place: Path, network: nn.Module, info: FrozenModel) -> None:
    """Writes weights and description of a classifier or a detector; place and errors are `save_model`'s."""
    weights, description = model_files(place)
    # The format has no shared memory, so every tensor gets a copy of its own.
    state = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in network.state_dict().items()
    }
    text = info.model_dump_json(indent=1) + "\n"
    try:
        weights.parent.mkdir(parents=True, exist_ok=True)
        # Written as bytes, because safetensors' own files are readable by their owner only.
        replace_file(weights, lambda path: path.write_bytes(safetensors.torch.save(state)))
        # Written last, because a folder that has this file counts as a model.
        replace_file(description, lambda path: path.write_text(text, encoding="utf-8"))
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"The network can't be written to {place}: {error}.") from error


def load_model(place: str | Path) -> LoadedModel:
    """The network of a model folder, or of NAME.safetensors with NAME.json beside it, on the CPU.

    Raises:
        ModelError: a file is missing or damaged, or the two don't belong together.
    """
    place = Path(place)
    weights, description = model_files(place)
    info = read_info(place)
    try:
        state = read_tensor_file(weights)
        _check_size(info, state)
        network = info.spec.build()
        load_weights(network, state)
    except UsageError as error:
        raise ModelError(f"{weights} does not go with {description}: {error}") from error
    return LoadedModel(network.eval(), info)


def _check_size(info: ModelInfo, state: Mapping[str, Tensor]) -> None:
    """ModelError if the network has more weights than the file.

    Checked before the network is built: a damaged description may describe one that fits in no memory.
    """
    needed, given = info.spec.complexity().parameters, sum(tensor.numel() for tensor in state.values())
    if needed <= given and info.network.auxiliary_head:
        # Complexity leaves the auxiliary head out, whose size depends on the images.
        with torch.device("meta"):
            needed = sum(parameter.numel() for parameter in info.spec.build().parameters())
    if needed > given:
        raise ModelError(f"that network has {needed:,} weights, the file {given:,} numbers.")


def read_info(place: Path) -> ModelInfo:
    """The description of a network on disk, without its weights; raises what `load_model` raises."""
    _, description = model_files(place)
    if not description.is_file():
        raise ModelError(
            f"{place} holds no trained network: there is no {description}. Give a folder with {INFO_FILE} "
            f"and {WEIGHTS_FILE}, as training writes it."
        )
    return _read_info(description)


def model_files(place: Path) -> tuple[Path, Path]:
    """Paths of the weights and of the description of a model folder, or of NAME.safetensors."""
    if place.suffix == ".safetensors" and not place.is_dir():
        return place, place.with_suffix(".json")
    return place / WEIGHTS_FILE, place / INFO_FILE


def _read_info(path: Path) -> ModelInfo:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read as JSON: {error}. Restore it, or train again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds a JSON {type(value).__name__}; it must be an object of ModelInfo.")
    if value.get("format", MODEL_FORMAT) != MODEL_FORMAT:
        raise ModelError(
            f"{path} has format {value['format']!r}, written by raynas {value.get('raynas', '?')}; raynas "
            f"{version('raynas')} reads format {MODEL_FORMAT}. Use the raynas that wrote it."
        )
    if value.get("task") == REFERENCE_TASK:
        raise ModelError(
            f"{path} describes {value.get('name')!r}, which is not made of cells: raynas trains it as a "
            "baseline alone. Its weights are a state_dict of raynas.models.reference."
        )
    if value.get("task", TASK) != TASK:
        kind = "a detector" if value["task"] == "detection" else f"a network for {value['task']!r}"
        raise ModelError(
            f"{path} describes {kind}, not an image classifier. raynas export takes detectors too, and "
            "raynas.detection.folder.load_detector reads them; what begins from weights needs the classifier "
            "that the detector was made from."
        )
    try:
        return validated(ModelInfo, value)
    except UsageError as error:
        raise ModelError(f"{path} does not describe a network: {error}") from error
