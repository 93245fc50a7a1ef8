"""Training checkpoints, from which a final training resumes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.train import Checkpoint

from raynas.data import ImageSplit
from raynas.engine.final_checkpoints import load_state
from raynas.errors import TrainingFailed
from raynas.files import STATE_FILE
from raynas.training.batches import MemoryBatches
from raynas.training.classification import classifier_training
from raynas.training.config import AugmentationConfig
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.final_config import FinalConfig
from raynas.training.images import DeviceImages
from tests.fuzz.mutate import mutated_bytes
from tests.fuzz.seeds import bombs
from tests.fuzz.targets.model import tiny_network
from tests.fuzz.targets.weights import torch_bytes
from tests.fuzz.trial import Attempt

STATE_CHANGES = ("drop", "other", "word", "number", "wrong tensor", "empty")


def start(folder: Path, bomb: Path) -> Attempt:
    training = tiny_training()
    states = []
    training.run(lambda _: states.append(_copied(training.state_dict())))
    seeds = [torch_bytes(states[0], is_zip=is_zip) for is_zip in (True, False)]

    def attempt(rng: random.Random) -> None:
        if rng.random() < 0.5:
            data = mutated_bytes(rng, rng.choice(seeds), bombs(bomb))
        else:
            data = torch_bytes(_changed(rng, states[0]), is_zip=True)
        (folder / STATE_FILE).write_bytes(data if rng.random() < 0.98 else rng.choice(bombs(bomb)))
        resumed = tiny_training()
        resumed.load_state_dict(load_state(Checkpoint(str(folder)), "cpu"))
        try:
            resumed.run()
        except TrainingFailed:
            # Mutated weights may diverge.
            return
        assert resumed.epoch >= resumed.config.epochs

    return attempt


def tiny_training() -> FinalTraining[Any]:
    pixels_NHWC = np.arange(8 * 4 * 4, dtype=np.uint8).reshape(8, 4, 4, 1)
    labels_N = np.arange(8) % 2
    split = ImageSplit(
        "tiny", pixels_NHWC[:6], labels_N[:6], pixels_NHWC[6:], labels_N[6:], 2, None, (0.5,), (0.25,)
    )
    source = MemoryBatches(DeviceImages(split), AugmentationConfig(flip=False, crop_padding=0), seed=0)
    config = FinalConfig(epochs=2, batch_size=3, precision="float32", average_decay=0.9)
    return classifier_training(tiny_network(), source, config, Placement())


def _copied(state: Any) -> Any:
    """A copy with its own tensors, because the training goes on changing the others."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state.clone() if hasattr(state, "clone") else state


def _changed(rng: random.Random, state: Any) -> Any:
    """A copy of the state with one wrong entry."""
    state = _copied(state)
    node: Any = state
    key: Any = None
    while isinstance(node, dict | list) and node and (key is None or rng.random() < 0.8):
        parent, key = node, rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = parent[key]
    change = rng.choice(STATE_CHANGES)
    if change == "drop":
        del parent[key]
    elif change == "other":
        parent[key] = _copied(rng.choice(list(state.values())))
    else:
        parent[key] = {
            "word": "nan", "number": rng.choice((-1, 2**70, float("nan"), 1e300, True, None)),
            "wrong tensor": torch.zeros(rng.choice(((), (3,), (0, 2)))), "empty": rng.choice(({}, [])),
        }[change]  # fmt: skip
    return state
