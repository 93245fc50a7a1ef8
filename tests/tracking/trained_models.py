"""Model folders as a training leaves them, and a training in MLflow that registers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raynas.models.folder import ModelInfo, save_model
from raynas.nn import Network, NetworkConfig
from raynas.tracking.config import TrackingConfig
from raynas.tracking.run_page import RunPage
from raynas.tracking.training_tracker import TrainingTracker
from tests.nn.small_networks import TINY

NAME = "raynas-tiny"
CONFIG = {"cell": "tiny", "training": {"epochs": 3}, "genotype": TINY.to_dict(), "seed": 1}


def write_model(folder: Path, *, epoch: int) -> Path:
    """The network of one epoch, whose top-1 is a tenth of it, but for the third, which is worse."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(epoch)
        network = Network(
            TINY, NetworkConfig(cells_per_stack=1, filters=4), in_channels=3, num_classes=4, image_size=8
        )
    training = {
        "epochs": epoch,
        "top1": top1(epoch),
        "top5": 0.5,
        "recipe": "cifar_final",
        "data": "https://me:secret@host/images",
    }
    info = ModelInfo.of(network, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3), training=training)
    save_model(folder, network, info)
    return folder


def top1(epoch: int) -> float:
    return 0.15 if epoch == 3 else epoch / 10


def models(folder: Path, *, best: int = 2, last: int = 3) -> dict[str, Path]:
    return {
        "best": write_model(folder / "best", epoch=best),
        "last": write_model(folder / "model", epoch=last),
    }


def open_tracker(store: Path, **changes: Any) -> TrainingTracker:
    page = RunPage(
        kind="training",
        run_id="t1",
        folder=store.parent / "final",
        tracking=TrackingConfig(experiment="nas"),
        config=CONFIG,
    )
    return TrainingTracker.open(replace(page, **changes), arch_id=TINY.arch_id)


def trained(store: Path, folders: Mapping[str, Path], *, name: str = NAME, **changes: Any) -> TrainingTracker:
    """A training of three epochs, by its first or a later driver, that is over and has registered them."""
    tracker = open_tracker(store, **changes)
    for epoch in (1, 2, 3):
        tracker.epoch_done(epoch, {"top1": top1(epoch), "top5": 0.5})
    tracker.register(name, folders)
    tracker.close("FINISHED", timeout=60)
    return tracker
