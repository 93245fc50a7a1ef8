"""A final training before it starts: its config, its data, and the network that follows from them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cells
from raynas.config import merged, validated, without_none
from raynas.data import ImageSplit
from raynas.data.stream import Growth, ImageCounts, ImageIndex
from raynas.engine.final_checkpoints import has_checkpoint
from raynas.errors import InvalidConfig, RunFolderError, UnknownName
from raynas.models.folder import ModelInfo
from raynas.models.networks import NETWORKS
from raynas.models.weights import known_info
from raynas.nn import NetworkSpec
from raynas.programs.train.config import InitialWeightsConfig, TrainConfig
from raynas.programs.train.data import DEFAULT_IMAGE_SIZE, find_data
from raynas.programs.train.folder import check_can_start, resumed_training_config
from raynas.programs.train.recipes import DEFAULT_RECIPE, train_config
from raynas.programs.train.start import initial_weights
from raynas.run.events import Origin
from raynas.run.folder import new_training_folder
from raynas.run.lookup import FoundCell, find_cell
from raynas.training.first_images import check_first_images
from raynas.training.single_image import can_train_on_one

OF_THE_RECIPE: dict[str, Any] = {"drop_path": True, "auxiliary_head": True, "conventions": {"norm_momentum"}}
"""Fields of NetworkConfig that say how a network is trained, and are not taken over with its weights."""


@dataclass(frozen=True)
class PreparedTraining:
    """A training of which everything is known and nothing is started."""

    folder: Path
    config: TrainConfig
    data: ImageSplit | ImageIndex | ImageCounts
    """ImageCounts only where a plan is made without the images."""
    initial: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    """Tensors from which the network begins; what is missing here keeps its random weights. None where the
    network begins from random weights, or goes on from a training checkpoint.
    """

    @property
    def image_size(self) -> int:
        """Pixels per side, once training images have grown."""
        if isinstance(self.data, ImageSplit):
            return self.data.image_size
        return self.config.data.image_size or DEFAULT_IMAGE_SIZE

    @property
    def growth(self) -> Growth | None:
        """How training images grow, or None if they have `image_size` pixels throughout."""
        first, epochs = self.config.data.first_image_size, self.config.training.epochs
        return Growth(first, self.image_size, self.config.data.size_stages, epochs) if first else None

    @property
    def spec(self) -> NetworkSpec:
        """The network that is trained."""
        return NetworkSpec(
            self.config.genotype,
            self.config.network,
            in_channels=self.data.num_channels,
            num_classes=self.data.num_classes,
            image_size=self.image_size,
        )

    @property
    def num_train_images(self) -> int:
        return self.data.num_train_images

    def check(self) -> None:
        """InvalidConfig if images are too few, too small for the network, or can't grow as configured.

        DataError if images in memory are of no use once they are augmented.
        """
        self.spec.complexity()
        if self.num_train_images < self.config.training.batch_size:
            raise InvalidConfig(
                f"training.batch_size = {self.config.training.batch_size} is more than the "
                f"{self.num_train_images:,} training images of {self.config.data.source}. Give a smaller one."
            )
        workers = self.config.workers
        self.check_steps(workers.count if isinstance(workers.count, int) else workers.at_least or 1)
        if isinstance(self.data, ImageSplit):
            check_first_images(self.data, self.config.data.augmentation, seed=self.config.seed)
        first = self.config.data.first_image_size
        if first is None:
            return
        if not self.config.data.streamed:
            raise InvalidConfig(
                f"data.first_image_size = {first}: only streamed images grow. Leave it out, or set "
                "data.streamed=true."
            )
        if first > self.image_size:
            raise InvalidConfig(
                f"data.first_image_size = {first} is more than data.image_size = {self.image_size}, to which "
                "images grow. Give at most that, or null for no growth."
            )
        replace(self.spec, image_size=first).complexity()

    def check_steps(self, num_workers: int) -> None:
        """InvalidConfig if a step of so many workers has one image, and the network needs two for its norms.

        With fewer workers a step has more images.
        """
        config = self.config.training
        is_shared = config.sync_norm and num_workers > 1
        if is_shared or config.batch_size // (num_workers * config.accumulate) > 1:
            return
        size = self.config.data.first_image_size or self.image_size
        if not can_train_on_one(replace(self.spec, image_size=min(size, self.image_size))):
            least = 2 * num_workers * config.accumulate
            raise InvalidConfig(
                f"training.batch_size = {config.batch_size} gives a step of one image, with {num_workers} "
                f"workers and training.accumulate = {config.accumulate}, and batch norm needs two, because "
                f"a map of this network is a single pixel. Give a batch of at least {least} images, fewer "
                "workers, or less accumulation; without an auxiliary head (network.auxiliary_head=false) "
                "one image may do."
            )


def prepare_named_training(
    what: str | None,
    *,
    recipe: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    is_plan: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PreparedTraining:
    """`prepare_training` for a cell that is named as `raynas train` and `train_final` take it.

    Args:
        what: see `find_start`. On resume, None means the training's own cell; with weights of a model folder,
            that network.
        out: the training's folder. Defaults to a new one below runs/.
    Raises:
        UsageError: an argument can't be used; nothing was started or overwritten.
    """
    if resume and out is None:
        raise RunFolderError("To resume a training, give its folder: out=FOLDER, or --out FOLDER.")
    found, settings = None, _with_weights_as_fields(settings or {})
    own = None if resume or what is not None else _network_of_weights(settings)
    if own is not None:
        found, what = FoundCell(own.genotype), str(own.training.get("cell") or own.genotype.arch_id)
        settings = merged({"network": own.network.model_dump(mode="json", exclude=OF_THE_RECIPE)}, settings)
    elif not resume or what is not None:
        found = find_start(what)
    return prepare_training(
        found.genotype if found else None,
        cell=str(what or "best"),
        origin=found.origin if found else None,
        recipe=recipe,
        out=out or new_training_folder(),
        resume=resume,
        is_plan=is_plan,
        settings=settings,
    )


def prepare_training(
    genotype: Genotype | None,
    *,
    cell: str,
    origin: Origin | None = None,
    recipe: str | None = None,
    out: Path,
    resume: bool = False,
    is_plan: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PreparedTraining:
    """The validated config and the data of a training.

    Args:
        genotype: the cells to train. On resume, None means the training's own.
        cell: the name under which they are recorded.
        origin: the run that the genotype comes from, if any.
        recipe: name of a training recipe. Defaults to DEFAULT_RECIPE, or on resume to the training's own.
        out: the training's folder.
        resume: continue the training in `out` with its own config; `settings` may change its workers.
        is_plan: nothing will be trained; see `find_data`.
        settings: fields of TrainConfig laid over the recipe, nested.
    Raises:
        UsageError: an argument can't be used; nothing was started or overwritten.
    """
    settings = _with_weights_as_fields(settings or {})
    if resume:
        config = resumed_training_config(out, settings, TrainConfig, genotype=genotype, recipe=recipe)
    else:
        check_can_start(out)
        assert genotype is not None
        subject = {"cell": cell, "genotype": genotype, "origin": origin}
        config = train_config(recipe or DEFAULT_RECIPE, merged(settings, subject))
    if not config.run_id:
        # Drawn once and then kept in training.json, so that a resumed training finds its MLflow run.
        config = config.model_copy(update={"run_id": uuid.uuid4().hex})
    prepared = PreparedTraining(out, config, find_data(config.data, seed=config.seed, is_plan=is_plan))
    prepared.check()
    if config.weights is None or (resume and has_checkpoint(out)):
        return prepared
    recorded, initial = initial_weights(config, prepared.spec, prepared.data.class_names)
    return replace(prepared, config=config.model_copy(update={"weights": recorded}), initial=initial)


def _network_of_weights(settings: Mapping[str, Any]) -> ModelInfo | None:
    """The description of the network whose weights a training begins from, if raynas wrote one."""
    if settings.get("weights") is None:
        return None
    return known_info(validated(InitialWeightsConfig, settings["weights"], where="weights").source)


def _with_weights_as_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings`, with weights=FILE written as weights.source=FILE, which a resume compares."""
    weights = settings.get("weights")
    if weights is None or isinstance(weights, Mapping):
        return dict(settings)
    return {**settings, "weights": {"source": str(weights)}}


def find_start(what: str | None) -> FoundCell:
    """The cell to train: what `find_cell` finds, or the cell of a published network.

    Raises:
        UnknownName: nothing has this name; suggests the nearest.
    """
    try:
        return find_cell(NETWORKS[what].cell if what in NETWORKS else what)
    except UnknownName as error:
        known = [*published_cells(), *NETWORKS]
        raise UnknownName("published cell or network", error.name, known, error.hint) from None


def field_overrides(
    *,
    data: str | None,
    workers: int | Literal["auto"] | None,
    nodes: int | None,
    min_workers: int | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    weights: str | Path | None,
) -> dict[str, Any]:
    """The fields of TrainConfig that have an argument of their own, nested, without those that are None."""
    return without_none(
        {
            "data": {"source": data},
            "workers": {"count": workers, "nodes": nodes, "at_least": min_workers},
            "training": {"epochs": epochs, "batch_size": batch_size},
            "seed": seed,
            "weights": None if weights is None else {"source": str(weights)},
        }
    )
