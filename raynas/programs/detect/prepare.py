"""A detector's training before it starts: its config, its data, and the detector that follows from them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raynas.cells.published import published_cells
from raynas.config import merged, validated
from raynas.detection.data import DetectionData, DetectionDataConfig, TrainingSet, open_detection
from raynas.detection.evaluation import check_installed
from raynas.detection.norm import NormRule, check_synchronised, norm_rule
from raynas.detection.plan import DetectorPlan, plan_detector
from raynas.engine.cluster import starts_here
from raynas.engine.final_checkpoints import has_checkpoint
from raynas.engine.final_plan import TrainingPlan
from raynas.errors import DataError, InvalidConfig, RunFolderError
from raynas.files import LAST_MODEL_FOLDER
from raynas.models.folder import ModelInfo, is_model
from raynas.models.networks import NETWORKS
from raynas.models.preprocess import Preprocessing
from raynas.models.weights import known_info
from raynas.nn import NetworkSpec
from raynas.programs.detect.config import DetectConfig
from raynas.programs.detect.recipes import DEFAULT_RECIPE, detect_config
from raynas.programs.train.config import InitialWeightsConfig
from raynas.programs.train.folder import check_can_start, resumed_training_config, training_of_weights
from raynas.programs.train.prepare import find_start, with_weights_as_fields
from raynas.programs.train.start import initial_weights
from raynas.run.folder import new_training_folder
from raynas.training.final_config import micro_batch


@dataclass(frozen=True)
class PreparedDetection:
    """A detector's training of which everything is known and nothing is started."""

    folder: Path
    config: DetectConfig
    data: DetectionData
    chosen: TrainingSet
    """The pictures and boxes that are trained on."""
    preprocessing: Preprocessing
    """The network's own; mean and deviation are used."""
    initial: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    """Tensors from which the network under the detector begins. None where it begins from random weights, or
    the training goes on from a checkpoint.
    """

    @property
    def spec(self) -> NetworkSpec:
        """The network under the detector, without classes."""
        size = self.config.detector.sides[-1]
        return NetworkSpec(self.config.genotype, self.config.network, len(self.preprocessing.mean), 0, size)

    @property
    def plan(self) -> DetectorPlan:
        """The detector as a value."""
        return plan_detector(self.spec, self.config.detector, num_classes=len(self.data.classes))

    def norm(self, num_workers: int, *, uses_gpus: bool) -> NormRule:
        """What becomes of batch norm with so many workers."""
        config = self.config
        return norm_rule(
            config.detector,
            images_per_worker=micro_batch(config.training, num_workers),
            num_workers=num_workers,
            uses_gpus=uses_gpus,
            is_pretrained=config.weights is not None,
        )

    def check(self) -> None:
        """InvalidConfig if there are too few pictures; DataError if there is nothing to measure by."""
        assert self.plan
        if self.config.weights is None and self.config.detector.frozen_stride:
            raise InvalidConfig(
                f"detector.frozen_stride = {self.config.detector.frozen_stride} keeps the weights of stem "
                "and first cells, and they are random. Leave it out, or give weights (--weights)."
            )
        batch_size, num_pictures = self.config.training.batch_size, len(self.chosen.numbers)
        if num_pictures < batch_size:
            raise InvalidConfig(
                f"training.batch_size = {batch_size} is more than the {num_pictures:,} training pictures of "
                f"{self.config.data.source}. Give a smaller one."
            )
        validation = self.data.validation
        if validation is None:
            raise DataError(
                f"{self.config.data.source} has no validation pictures, so a good detector could not be told "
                "from a bad one. Name an annotation file or folder val, valid or validation, or set "
                "data.validation_annotations."
            )
        if validation.boxes.is_crowd_N.all():
            raise DataError(
                f"{validation.file} has no box to measure by: it has {len(validation.boxes):,} boxes, and "
                "none is of a single object (iscrowd = 0). Give validation pictures with boxes of single "
                "objects."
            )

    def check_plan(self, plan: TrainingPlan) -> None:
        """InvalidConfig if these workers can't share the pictures of an update, or its statistics."""
        self.norm(plan.num_workers, uses_gpus=plan.gpus > 0)

    def check_gpus(self, address: str | None) -> None:
        """InvalidConfig if batch norm is to be synchronised, which takes GPUs, and there will surely be none.

        A cluster's GPUs are known only once it is connected: `check_plan` looks at those.

        Args:
            address: address of a Ray cluster, as `detect_prepared` takes it.
        """
        gpus = self.config.workers.gpus
        if gpus == "auto" and starts_here(address):
            gpus = float(torch.cuda.is_available())
        if gpus == 0:
            check_synchronised(self.config.detector, uses_gpus=False)


def prepare_detection(
    what: str | None = None,
    *,
    recipe: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PreparedDetection:
    """The validated config and the data of a detector's training.

    Args:
        what: a run's, training's or model's folder, a published cell or network, or a JSON file. The folder
            of a training or model also gives the weights, unless settings name others. On resume, None means
            the training's own.
        recipe: name of a recipe of detection. Defaults to DEFAULT_RECIPE, or on resume to the training's own.
        out: the training's folder. Defaults to a new one below runs/.
        resume: continue the training in `out` with its own config; `settings` may change its workers.
        settings: fields of DetectConfig laid over the recipe, nested.
    Raises:
        UsageError: an argument can't be used; nothing was started or overwritten.
    """
    check_installed()
    settings = with_weights_as_fields(settings or {})
    if resume:
        config = _resumed(what, out, settings, recipe)
    else:
        out = out or new_training_folder()
        check_can_start(out)
        config = _new_config(what, settings, recipe)
    assert out is not None
    if not config.run_id:
        # Drawn once and then kept in training.json, so that a resumed training finds its MLflow run.
        config = config.model_copy(update={"run_id": uuid.uuid4().hex})
    data = open_detection(_plain(config))
    known = known_info(config.weights.source) if config.weights is not None else None
    prepared = PreparedDetection(out, config, data, data.for_training(), _preprocessing(config, known))
    prepared.check()
    if config.weights is None or (resume and has_checkpoint(out)):
        return prepared
    recorded, initial = initial_weights(config, prepared.spec, None)
    return replace(prepared, config=config.model_copy(update={"weights": recorded}), initial=initial)


def _resumed(
    what: str | None, out: Path | None, settings: Mapping[str, Any], recipe: str | None
) -> DetectConfig:
    if out is None:
        raise RunFolderError("To resume a training, give its folder: out=FOLDER, or --out FOLDER.")
    genotype = find_start(what).genotype if what is not None else None
    return resumed_training_config(out, settings, DetectConfig, genotype=genotype, recipe=recipe)


def _new_config(what: str | None, settings: dict[str, Any], recipe: str | None) -> DetectConfig:
    data = settings.get("data", {})
    if isinstance(data, Mapping) and "source" not in data:
        raise InvalidConfig(
            "No pictures are given. Set data.source (--data) to a COCO folder or Parquet files."
        )
    named = _network_in(what)
    if settings.get("weights") is None and named is not None:
        settings = {**settings, "weights": {"source": what}}
    trained = _trained(settings)
    subject = {"origin": None, **_subject(what, named or (trained if what is None else None))}
    if (source := _source_of_weights(settings)) is not None:
        # A training is nested in the run of its cell, so the detector is below that run in any case.
        subject["origin"] = training_of_weights(source) or subject["origin"]
    network = _network(what, trained or named)
    base = settings if network is None else merged({"network": network}, settings)
    return detect_config(recipe or DEFAULT_RECIPE, merged(base, subject))


def _subject(what: str | None, known: ModelInfo | None) -> dict[str, Any]:
    """The fields that say which cell is used and where it comes from."""
    if known is not None:
        cell = str(known.training.get("cell") or known.genotype.arch_id)
        return {"cell": cell, "genotype": known.genotype}
    found = find_start(what)
    return {"cell": str(what or "best"), "genotype": found.genotype, "origin": found.origin}


def _network(what: str | None, known: ModelInfo | None) -> dict[str, Any] | None:
    """How the cells are stacked, without the auxiliary head; None where the recipe says it."""
    if known is not None:
        config = known.network
    elif what in NETWORKS:
        config = NETWORKS[what].config
    else:
        return None
    return config.model_dump(mode="json") | {"auxiliary_head": False}


def _network_in(what: str | None) -> ModelInfo | None:
    """The description of a trained classifier, if `what` is its folder or its training's."""
    # Names first, so that a folder of the same name doesn't hide a published cell.
    if what is None or what in NETWORKS or what in published_cells():
        return None
    folders = [folder for folder in (Path(what), Path(what, LAST_MODEL_FOLDER)) if is_model(folder)]
    return known_info(what) if folders else None


def _trained(settings: Mapping[str, Any]) -> ModelInfo | None:
    """The description of the network whose weights are taken, if raynas wrote one."""
    source = _source_of_weights(settings)
    return None if source is None else known_info(source)


def _source_of_weights(settings: Mapping[str, Any]) -> str | None:
    if settings.get("weights") is None:
        return None
    return validated(InitialWeightsConfig, settings["weights"], where="weights").source


def _plain(config: DetectConfig) -> DetectionDataConfig:
    return DetectionDataConfig(**config.data.model_dump(include=set(DetectionDataConfig.model_fields)))


def _preprocessing(config: DetectConfig, known: ModelInfo | None) -> Preprocessing:
    if known is not None:
        return known.preprocessing
    if config.cell in NETWORKS:
        return NETWORKS[config.cell].preprocessing
    return Preprocessing()
