"""Small trained networks in model folders, and data to evaluate them on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from raynas.data import DataConfig, load_split
from raynas.data.stream import EvalTransform, ImageIndex, local_batches
from raynas.detection.config import BoxConfig
from raynas.detection.folder import DetectorInfo, save_detector
from raynas.detection.plan import plan_detector
from raynas.files import TRAINING_FILE
from raynas.models.folder import ModelInfo, save_model
from raynas.models.networks import build
from raynas.nn import Network
from raynas.training.batches import MemoryBatches, StreamedBatches
from raynas.training.classification import classifier_training
from raynas.training.config import AugmentationConfig
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.images import DeviceImages
from tests.detection.small_detectors import SMALL, small_detector, small_spec
from tests.models.small_models import show
from tests.training.final_runs import final_config, network

NAMES = ("cat", "dog", "owl")


def squares(root: Path, *, names: tuple[str, ...] = NAMES, splits=("train", "val"), count: int = 12) -> Path:
    """Class folders whose classes are told apart by brightness, with noise, in pictures of several sizes."""
    for number, split in enumerate(splits):
        for place, name in enumerate(names):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                rng = np.random.default_rng((number, NAMES.index(name) if name in NAMES else place, index))
                size = (20 + index, 24)
                pixels_HWC = rng.integers(0, 120, (*size, 3)) + 60 * (
                    NAMES.index(name) if name in NAMES else 0
                )
                Image.fromarray(pixels_HWC.astype(np.uint8)).save(folder / f"{index}.png")
    return root


def trained_on_digits(folder: Path, **changes: Any) -> float:
    """Writes the folder of a training on the digits; returns the top-1 that it recorded."""
    split = load_split(DataConfig(validation_images=300), seed=3)
    batches = MemoryBatches(DeviceImages(split), AugmentationConfig(flip=False), seed=3)
    net = network()
    training = classifier_training(net, batches, final_config(), Placement(), seed=3)
    top1 = _trained(training)
    info = ModelInfo.of(
        net,
        mean=split.mean_C,
        std=split.std_C,
        classes=split.class_names,
        training={"data": "digits", "seed": 3, "top1": top1},
        **changes,
    )
    save_model(folder / "model", net, info)
    config = {
        "seed": 3,
        "training": {"precision": "float32"},
        "data": {"source": "digits", "validation_images": 300},
    }
    (folder / TRAINING_FILE).write_text(json.dumps(config))
    return top1


def trained_on_folders(folder: Path, data: Path) -> float:
    """Writes the folder of a training that streamed `squares`; returns the top-1 that it recorded."""
    index = ImageIndex.find(str(data))
    assert index.validation is not None
    cut = EvalTransform(16, 0.875)
    batches = StreamedBatches(
        local_batches(index.train, cut, shuffle=None, num_processes=0),
        local_batches(index.validation, cut, shuffle=None, num_processes=0),
        num_classes=3,
        device="cpu",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build(
            "nasnet_a_cifar",
            num_classes=3,
            in_channels=3,
            cells_per_stack=1,
            filters=4,
            num_reductions=1,
            image_size=16,
        )
    training = classifier_training(net, batches, final_config(batch_size=6), Placement())
    top1 = _trained(training)
    info = ModelInfo.of(
        net,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        crop_fraction=0.875,
        interpolation="bicubic",
        classes=index.class_names,
        training={"data": str(data), "seed": 0},
    )
    for name in ("model", "best"):
        save_model(folder / name, net, info)
    config = {"data": {"source": str(data), "streamed": True}, "training": {"precision": "float32"}}
    (folder / TRAINING_FILE).write_text(json.dumps(config))
    return top1


def _trained(training: FinalTraining[Any]) -> float:
    """The top-1 that the loop measures, of a network with random weights whose norms have seen images."""
    batch = next(iter(training.batches.train_batches(0, 30, rank=0, num_ranks=1)))
    net = training.network
    assert isinstance(net, Network) and isinstance(net.classifier, torch.nn.Linear)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        torch.nn.init.normal_(net.classifier.weight, std=1.0)
    show(net, batch.images_NCHW)
    return float(training.scores()["top1"])


def described(folder: Path, **changes: Any) -> None:
    """Changes the description of a network on disk."""
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def untrained_detector(folder: Path, **changes: Any) -> Path:
    """A detector with random weights for the classes of tests.detection.coco_sets."""
    # A threshold that random weights reach.
    config = SMALL.model_copy(update={"boxes": BoxConfig(score_threshold=0.01, detections=20)})
    detector = small_detector(config)
    spec = small_spec()
    fields: dict[str, Any] = {
        "genotype": spec.genotype,
        "network": spec.config,
        "image_size": 64,
        "detector": plan_detector(spec, config, num_classes=3).config,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "classes": ("cat", "dog", "owl"),
        "class_ids": (3, 7, 9),
    }
    save_detector(folder, detector, DetectorInfo(**{**fields, **changes}))
    return folder
