"""Model folders: a mutated model.json beside intact weights, and the classifier that is loaded from them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.models.classifier import Classifier
from raynas.models.folder import INFO_FILE, LoadedModel, ModelInfo, load_model, save_model
from raynas.nn import Network, NetworkConfig
from tests.fuzz.mutate import json_bytes
from tests.fuzz.trial import Attempt

CELL = CellGenotype((Block(0, "identity", 1, "conv_1x1"),), (2,))


def tiny_network() -> Network:
    config = NetworkConfig(cells_per_stack=1, filters=2, num_reductions=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network(Genotype(CELL, CELL), config, in_channels=1, num_classes=2, image_size=4)


def save_tiny(folder: Path) -> Network:
    network = tiny_network()
    info = ModelInfo.of(network, mean=(0.5,), std=(0.25,), classes=("cat", "dog"), training={"epochs": 3})
    save_model(folder, network, info)
    return network


def start(folder: Path, bomb: Path) -> Attempt:
    save_tiny(folder)
    seed = json.loads((folder / INFO_FILE).read_text())
    images_NHWC = np.zeros((1, 6, 5, 3), np.uint8)

    def attempt(rng: random.Random) -> None:
        (folder / INFO_FILE).write_bytes(json_bytes(rng, seed))
        model = load_model(folder)
        _use(model, images_NHWC)

    return attempt


def _use(model: LoadedModel, images_NHWC: np.ndarray) -> None:
    # The description of the training is free-form and may hold NaN, which never equals itself.
    info = model.info.model_copy(update={"training": {}})
    assert ModelInfo.model_validate_json(info.model_dump_json()) == info
    probabilities_NK = Classifier(model).predict(images_NHWC)
    assert probabilities_NK.shape == (1, model.info.num_classes)
