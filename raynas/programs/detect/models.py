"""Writes the model folders of a finished detector: those of its last and of its best epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from raynas.config import without_credentials
from raynas.detection.folder import DetectorInfo, save_detector
from raynas.detection.summary import DetectionSummary
from raynas.engine.final import TrainedStates
from raynas.programs.detect.prepare import PreparedDetection
from raynas.programs.train.models import evaluated_weights, git_commit, save_both


def save_detectors(
    training: PreparedDetection, states: TrainedStates, summaries: list[DetectionSummary]
) -> dict[str, Path]:
    """The model folders, by their alias in MLflow's model registry: 'best' and 'last'."""

    def save(folder: str, state: Mapping[str, Any], epoch: int) -> Path:
        return _save(training, folder, state, epoch, summaries)

    return save_both(states, training.config.training.epochs, save)


def _save(
    training: PreparedDetection,
    folder: str,
    state: Mapping[str, Any],
    epoch: int,
    summaries: list[DetectionSummary],
) -> Path:
    summary = next((summary for summary in summaries if summary.epoch == epoch), None)
    info = _info(training, epoch, summary)
    detector = info.build()
    detector.load_state_dict(evaluated_weights(state))
    place = training.folder / folder
    save_detector(place, detector, info)
    return place


def _info(training: PreparedDetection, epoch: int, summary: DetectionSummary | None) -> DetectorInfo:
    config, plan, classes = training.config, training.plan, training.data.classes
    known = {
        "cell": config.cell,
        "recipe": config.recipe,
        # The model folder is handed to other people, and a URI may have a password in it.
        "data": without_credentials(config.data.source),
        "weights": None if config.weights is None else without_credentials(config.weights.source),
        "epochs": epoch,
        "planned_epochs": config.training.epochs,
        "seed": config.seed,
        **({} if summary is None else summary.metrics()),
        "torch": version("torch"),
        "git_commit": git_commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
    return DetectorInfo(
        genotype=config.genotype,
        network=plan.network.config,
        image_size=plan.network.image_size,
        detector=plan.config,
        mean=training.preprocessing.mean,
        std=training.preprocessing.std,
        classes=classes.names,
        class_ids=classes.ids,
        training=known,
    )
