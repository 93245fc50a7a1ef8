"""Writes the model folders of a finished training: the networks of its last and of its best epoch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from raynas.cells.published import published_cells
from raynas.config import without_credentials
from raynas.data import ImageSplit
from raynas.engine.final import TrainedStates
from raynas.files import BEST_MODEL_FOLDER, LAST_MODEL_FOLDER
from raynas.models.folder import ModelInfo, save_model
from raynas.models.networks import NETWORKS
from raynas.models.weights import TIMM_PREFIX
from raynas.nn import Network
from raynas.programs.train.config import BaseTrainConfig
from raynas.programs.train.prepare import PreparedTraining
from raynas.tracking.config import FORBIDDEN_IN_MODEL_NAMES
from raynas.training.batches import IMAGENET_MEAN_C, IMAGENET_STD_C
from raynas.training.final_config import ClassifierSummary


def save_models(
    training: PreparedTraining, states: TrainedStates, summaries: list[ClassifierSummary]
) -> dict[str, Path]:
    """The model folders, by their alias in MLflow's model registry: 'best' and 'last'.

    Both are written even if the last epoch is the best.
    """

    def save(folder: str, state: Mapping[str, Any], epoch: int) -> Path:
        return _save(training, folder, state, epoch, summaries)

    return save_both(states, training.config.training.epochs, save)


def save_both(
    states: TrainedStates, num_epochs: int, save: Callable[[str, Mapping[str, Any], int], Path]
) -> dict[str, Path]:
    """Saves the network of the best and of the last epoch; returns the folders by alias.

    Args:
        num_epochs: epochs of the training, the last one's number.
        save: writes one model folder, given its name, a FinalTraining.state_dict and the epoch.
    """
    return {
        "best": save(BEST_MODEL_FOLDER, states.best, states.best_epoch),
        "last": save(LAST_MODEL_FOLDER, states.last, num_epochs),
    }


def registered_name(config: BaseTrainConfig, prefix: str = "raynas-") -> str:
    """The model's name in MLflow's registry: as configured, or `prefix` and the cell's name or arch_id."""
    if config.tracking.registered_model is not None:
        return config.tracking.registered_model
    is_published = config.cell in NETWORKS or config.cell in published_cells()
    name = config.cell if is_published else config.genotype.arch_id
    return prefix + re.sub(f"[{FORBIDDEN_IN_MODEL_NAMES}]", "-", name)


def _save(
    training: PreparedTraining,
    folder: str,
    state: Mapping[str, Any],
    epoch: int,
    summaries: list[ClassifierSummary],
) -> Path:
    network = training.spec.build()
    network.load_state_dict(evaluated_weights(state))
    summary = next((summary for summary in summaries if summary.epoch == epoch), None)
    place = training.folder / folder
    save_model(place, network, _info(training, network, epoch, summary))
    return place


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's tensors in a FinalTraining.state_dict: the averaged ones, if there is an average."""
    average = state["average"]
    if average is None:
        return dict(state["network"])
    # torch's AveragedModel holds the network as `module`, beside a counter of its own.
    return {k.removeprefix("module."): v for k, v in average.items() if k.startswith("module.")}


def _info(
    training: PreparedTraining, network: Network, epoch: int, summary: ClassifierSummary | None
) -> ModelInfo:
    config, data = training.config, training.data
    pixels: dict[str, Any] = {
        "mean": IMAGENET_MEAN_C,
        "std": IMAGENET_STD_C,
        "crop_fraction": config.data.crop_fraction,
        "interpolation": "bicubic",
    }
    if isinstance(data, ImageSplit):
        pixels = {"mean": tuple(data.mean_C), "std": tuple(data.std_C)}
    known = {
        "cell": config.cell,
        "recipe": config.recipe,
        # The model folder is handed to other people, and a URI may have a password in it.
        "data": without_credentials(config.data.source),
        "epochs": epoch,
        "planned_epochs": config.training.epochs,
        "seed": config.seed,
        **_began_from(config),
        "top1": summary.top1 if summary else None,
        "top5": summary.top5 if summary else None,
        "torch": version("torch"),
        "git_commit": git_commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
    return ModelInfo.of(network, **pixels, classes=data.class_names, training=known)


def _began_from(config: BaseTrainConfig) -> dict[str, Any]:
    """The weights that it began from, if it didn't begin from random ones."""
    weights = config.weights
    if weights is None:
        return {}
    # Only the last part of a path: its folders may say who the user is.
    name = weights.source if weights.source.startswith(TIMM_PREFIX) else Path(weights.source).name
    return {"weights": name, "weights_digest": weights.digest, "weights_new": list(weights.new)}


def git_commit() -> str | None:
    """The commit that is checked out in the working directory, if it is in a git repository."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=os.getcwd()
    )
    return done.stdout.strip() or None
