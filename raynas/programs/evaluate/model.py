"""Finds the trained network that is to be evaluated, and loads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from raynas.detection.folder import LoadedDetector, is_detector, load_detector
from raynas.errors import ModelError, UsageError
from raynas.files import (
    BEST_MODEL_FOLDER,
    JOURNAL_FILE,
    LAST_MODEL_FOLDER,
    TRAINING_FILE,
    parse_json,
)
from raynas.models.folder import INFO_FILE, LoadedModel, is_model, load_model
from raynas.training.config import Precision

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MODEL_FOLDERS = (LAST_MODEL_FOLDER, BEST_MODEL_FOLDER)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A trained network.

    Args:
        place: its model folder.
        loaded: a classifier or a detector, as its description says.
        recorded: the content of its training's training.json; empty where there is none.
    """

    place: Path
    loaded: LoadedModel | LoadedDetector
    recorded: dict[str, Any]

    @property
    def precision(self) -> Precision:
        """The number format in which its training computed, or 'auto' where that isn't known."""
        training = self.recorded.get("training")
        known = training.get("precision") if isinstance(training, dict) else None
        return next((name for name in PRECISIONS if name == known), "auto")


def find_model(what: str | Path, *, best: bool) -> FoundModel:
    """The network of a training's folder, or of a model folder.

    Args:
        best: that of the training's best epoch instead of the last.
    Raises:
        ModelError: there is no network, or it is damaged.
        UsageError: `best`, where there is one network alone.
    """
    place = _place(Path(what), best=best)
    load = load_detector if is_detector(place) else load_model
    return FoundModel(place, load(place), _recorded(place))


def _place(folder: Path, *, best: bool) -> Path:
    if is_model(folder):
        if best:
            raise UsageError(
                f"best (--best) chooses between the networks of a training, and {folder} is one network. "
                "Leave it out, or give the folder of the training."
            )
        return folder
    place = folder / (BEST_MODEL_FOLDER if best else LAST_MODEL_FOLDER)
    if is_model(place):
        return place
    raise ModelError(_missing(folder, place))


def _missing(folder: Path, place: Path) -> str:
    if not folder.exists():
        return f"There is nothing at {folder}. Give the folder of a training or of a trained network."
    if (folder / TRAINING_FILE).is_file() and not any(is_model(folder / name) for name in MODEL_FOLDERS):
        return f"The training in {folder} has not ended: there is no {place / INFO_FILE}. Wait, or resume it."
    if (folder / JOURNAL_FILE).is_file():
        return (
            f"{folder} holds a search or a promotion, which keeps cells and not weights. Train its best cell "
            "with 'raynas train' first."
        )
    return (
        f"{folder} holds no trained network: there is no {INFO_FILE} in it, nor in its folder "
        f"{place.name!r}. Give the folder of a training or of a trained network."
    )


def _recorded(place: Path) -> dict[str, Any]:
    """How the network was trained, if its folder still lies in that of its training."""
    if place.resolve().name not in MODEL_FOLDERS:
        return {}
    try:
        value = parse_json((place.resolve().parent / TRAINING_FILE).read_bytes())
    except (OSError, ValueError):
        # Only a help: the model folder has what is needed.
        return {}
    return dict(value) if isinstance(value, dict) else {}
