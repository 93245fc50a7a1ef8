"""What each process of a test of detection with several ranks runs; importable, because they import it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn

from raynas.detection.training import predict
from raynas.training.device import Placement
from tests.detection.rectangles import SIDE, prepared, training_of, write_rectangles

# Every anchor and every proposal counts in the losses, and each picture has as many proposals and boxes as
# any other: means over the pictures of two ranks are then the mean over all, in whichever order
# they are drawn.
_EVERYTHING = {
    "norm": "frozen",
    "proposals": {
        "candidates_train": 10_000,
        "kept_train": 100,
        "batch": 10_000,
        "nms": 1.0,
        "positive_iou": 0.5,
        "negative_iou": 0.5,
    },
    "boxes": {"batch": 10_000, "positive_iou": 0.5, "negative_iou": 0.5, "score_threshold": 0.0},
}
_ONE_UPDATE = {
    "epochs": 1,
    "batch_size": 4,
    "gradient_clip": None,
    # Weights then change by exactly the gradient.
    "optimizer": {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0},
    "schedule": {"name": "constant", "warmup_epochs": 0.0},
}
_SIZES = ((SIDE, SIDE), (SIDE, 64), (64, SIDE))


def write_data(folder: Path) -> Path:
    """Four training pictures of two boxes each, and five validation pictures of different shapes."""
    write_rectangles(folder / "same", num_train=4, number=2)
    write_rectangles(folder / "shapes", num_train=4, num_validation=5, sizes=_SIZES)
    return folder


def gradient(folder: Path, placement: Placement) -> dict[str, Tensor]:
    """By how much one update changes each weight."""
    training = training_of(
        prepared(folder / "same", folder / "out", detector=_EVERYTHING, training=_ONE_UPDATE), placement
    )
    before = {name: value.detach().clone() for name, value in training.network.named_parameters()}
    training.run()
    return {name: before[name] - value.detach() for name, value in training.network.named_parameters()}


def evaluated(folder: Path, placement: Placement) -> dict[str, Any]:
    """What a detector of random weights scores, and how many boxes this rank predicted."""
    training = training_of(
        prepared(folder / "shapes", folder / "out", detector={"boxes": {"score_threshold": 0.0}}), placement
    )
    batches = training.batches.validation_batches(2, rank=placement.rank, num_ranks=placement.num_ranks)
    predictions = predict(training.network.eval(), batches)
    return {"scores": training.scores(), "predictions": torch.from_numpy(predictions.table())}


def train_ranks(num_ranks: int, folder: Path) -> list[dict[str, Any]]:
    """What each of these processes ended with."""
    spawn(_rank, (num_ranks, str(folder)), nprocs=num_ranks)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(num_ranks)]


def _rank(rank: int, num_ranks: int, name: str) -> None:
    folder = Path(name)
    # A rank alone on this machine: no need to look for the way to others.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=num_ranks)
    try:
        torch.set_num_threads(1)
        placement = Placement(rank=rank, num_ranks=num_ranks)
        ends = {"gradient": gradient(folder, placement), "evaluated": evaluated(folder, placement)}
        torch.save(ends, folder / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()
