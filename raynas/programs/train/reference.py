"""The final training of a network that is no cell, by the same loop, recipe and images as a cell's."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from raynas.config import FrozenModel, validated
from raynas.data import ImageSplit
from raynas.engine.final import TrainedStates
from raynas.errors import RunFolderError
from raynas.files import TRAINING_FILE, parse_json
from raynas.models.folder import write_model_files
from raynas.models.reference import ReferenceName, ReferenceSpec
from raynas.programs.train.config import AnyTrainConfig, TrainConfig, TrainDataConfig
from raynas.programs.train.execute import Execution, TrainResult, execute
from raynas.programs.train.folder import check_can_start
from raynas.programs.train.models import evaluated_weights, save_both
from raynas.training.batches import MemoryBatches, TrainingBatch
from raynas.training.classification import classifier_training
from raynas.training.device import Placement, reproducible
from raynas.training.final import FinalTraining
from raynas.training.final_config import ClassifierSummary, FinalConfig, StepSummary
from raynas.training.images import DeviceImages


class ReferenceConfig(AnyTrainConfig):
    """Everything that the training of a reference network depends on."""

    task = "reference"
    summary = ClassifierSummary

    reference: ReferenceName
    data: TrainDataConfig = TrainDataConfig()
    training: FinalConfig = FinalConfig()


class ReferenceInfo(FrozenModel):
    """The content of model.json: what is needed besides the weights to rebuild the network."""

    task: Literal["reference network"] = "reference network"
    raynas: str
    name: ReferenceName
    in_channels: int
    num_classes: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] | None
    training: dict[str, Any]


@dataclass(frozen=True)
class PreparedReference:
    """A training of which everything is known and nothing is started."""

    folder: Path
    config: ReferenceConfig
    data: ImageSplit

    @property
    def spec(self) -> ReferenceSpec:
        """The network that is trained."""
        data = self.data
        return ReferenceSpec(self.config.reference, data.num_channels, data.num_classes, data.image_size)


def prepare_reference(name: str, like: TrainConfig, data: ImageSplit, folder: Path) -> PreparedReference:
    """The training of a reference network as another one is trained; that in `folder`, if it began there.

    Args:
        like: the training of a network of cells, whose data, training, workers, tracking and seed are taken.
        data: the images, in memory.
    Raises:
        RunFolderError: the folder holds something else.
        InvalidConfig: there is no such network.
    """
    if (folder / TRAINING_FILE).exists():
        return PreparedReference(folder, _recorded(folder), data)
    check_can_start(folder)
    shared = like.model_dump(include={"origin", "data", "training", "workers", "tracking", "seed", "recipe"})
    fields = {"reference": name, "run_id": uuid.uuid4().hex, **shared}
    return PreparedReference(folder, validated(ReferenceConfig, fields), data)


def train_reference(
    prepared: PreparedReference,
    *,
    address: str | None = None,
    report: Callable[[ClassifierSummary], None] = lambda _: None,
    report_step: Callable[[StepSummary], None] = lambda _: None,
) -> TrainResult[ClassifierSummary]:
    """Runs a prepared training to its end; arguments and errors are those of `execute`."""
    config = prepared.config
    execution = Execution(
        folder=prepared.folder,
        config=config,
        summary=ClassifierSummary,
        factory=functools.partial(_build_training, config=config, spec=prepared.spec),
        given=prepared.data,
        check_plan=lambda plan: None,
        save_models=functools.partial(_save_models, prepared),
        network=config.reference,
        genotype=None,
        # MLflow's models are loaded as networks of cells.
        registered_name=None,
        command="raynas auto",
    )
    return execute(execution, address=address, report=report, report_step=report_step)


def _recorded(folder: Path) -> ReferenceConfig:
    path = folder / TRAINING_FILE
    try:
        recorded = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} can't be read as JSON: {error}. Restore it, or train anew.") from error
    return validated(ReferenceConfig, recorded)


def _build_training(
    placement: Placement, data: ImageSplit, *, config: ReferenceConfig, spec: ReferenceSpec
) -> FinalTraining[TrainingBatch]:
    with reproducible(config.seed, placement):
        network = spec.build()
    batches = MemoryBatches(DeviceImages(data, placement.device), config.data.augmentation, seed=config.seed)
    return classifier_training(network, batches, config.training, placement, seed=config.seed)


def _save_models(
    prepared: PreparedReference, states: TrainedStates, summaries: list[ClassifierSummary]
) -> Mapping[str, Path]:
    def save(folder: str, state: Mapping[str, Any], epoch: int) -> Path:
        return _save(prepared, folder, state, epoch, summaries)

    return save_both(states, prepared.config.training.epochs, save)


def _save(
    prepared: PreparedReference,
    name: str,
    state: Mapping[str, Any],
    epoch: int,
    summaries: list[ClassifierSummary],
) -> Path:
    network = prepared.spec.build()
    network.load_state_dict(evaluated_weights(state))
    place, data, config = prepared.folder / name, prepared.data, prepared.config
    top1 = next((summary.top1 for summary in summaries if summary.epoch == epoch), None)
    info = ReferenceInfo(
        raynas=version("raynas"),
        name=config.reference,
        in_channels=data.num_channels,
        num_classes=data.num_classes,
        image_size=data.image_size,
        mean=data.mean_C,
        std=data.std_C,
        classes=data.class_names,
        training={"recipe": config.recipe, "epochs": epoch, "top1": top1, "date": time.strftime("%Y-%m-%d")},
    )
    write_model_files(place, network, info)
    return place
