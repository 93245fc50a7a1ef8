"""Children that train in a fraction of a second, and made-up images."""

# Shapes: N images, H x W pixels, C channels, K classes.

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from raynas.cells.genotype import Genotype
from raynas.child import Child, ChildResult, Report
from raynas.data import DataConfig, ImageSplit, load_split
from raynas.nn import NetworkConfig
from raynas.training.config import ChildConfig
from raynas.training.device import Placement
from raynas.training.images import DeviceImages
from raynas.training.trainer import ChildTrainer
from tests.nn.small_networks import TINY

NETWORK = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)
PLAIN = {"augmentation": {"crop_padding": 0, "flip": False}}


@cache
def digits(train_images: int = 96, validation_images: int = 40) -> DeviceImages:
    config = DataConfig(train_images=train_images, validation_images=validation_images)
    return DeviceImages(load_split(config, seed=0))


def child_config(**fields: Any) -> ChildConfig:
    return ChildConfig.model_validate(
        {"epochs": 2, "batch_size": 32, "precision": "float32", **PLAIN, **fields}
    )


def train(
    genotype: Genotype = TINY,
    *,
    seed: int = 1,
    images: DeviceImages | None = None,
    network: NetworkConfig = NETWORK,
    placement: Placement | None = None,
    report_epoch: Report = lambda _: None,
    should_stop: Callable[[], object] = lambda: False,
    **fields: Any,
) -> ChildResult:
    """The result of one child; `fields` are those of ChildConfig."""
    trainer = ChildTrainer(network, child_config(**fields), images or digits(), placement or Placement())
    return trainer(Child(0, genotype, genotype.arch_id, seed), report_epoch, lambda: bool(should_stop()))


def made_up_split(
    *, num_train: int = 24, num_validation: int = 10, size: int = 8, channels: int = 3, num_classes: int = 3
) -> ImageSplit:
    rng = np.random.default_rng(0)
    images_NHWC = rng.integers(0, 256, (num_train + num_validation, size, size, channels), dtype=np.uint8)
    labels_N = np.arange(num_train + num_validation) % num_classes
    return ImageSplit(
        name="made up",
        train_images_NHWC=images_NHWC[:num_train],
        train_labels_N=labels_N[:num_train],
        validation_images_NHWC=images_NHWC[num_train:],
        validation_labels_N=labels_N[num_train:],
        num_classes=num_classes,
        class_names=None,
        mean_C=(0.5, 0.4, 0.3)[:channels],
        std_C=(0.3, 0.2, 0.1)[:channels],
    )
