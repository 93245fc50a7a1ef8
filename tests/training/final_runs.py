"""Final trainings as small as possible; importable by spawned processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from raynas.nn import Network, NetworkConfig
from raynas.training.batches import MemoryBatches
from raynas.training.classification import classifier_training
from raynas.training.config import AugmentationConfig
from raynas.training.device import Placement, reproducible
from raynas.training.final import FinalTraining
from raynas.training.final_config import FinalConfig
from raynas.training.images import DeviceImages
from tests.nn.small_networks import TINY
from tests.training.tiny_children import digits

NO_AUGMENTATION = AugmentationConfig(crop_padding=0, flip=False)


def final_config(**fields: Any) -> FinalConfig:
    return FinalConfig(**{"epochs": 2, "batch_size": 32, "precision": "float32", **fields})


def source(
    images: DeviceImages | None = None, augmentation: AugmentationConfig | None = None
) -> MemoryBatches:
    return MemoryBatches(images or digits(), augmentation or AugmentationConfig(flip=False), seed=0)


def network(**fields: Any) -> Network:
    config = NetworkConfig(**{"cells_per_stack": 1, "filters": 4, "num_reductions": 1, **fields})
    with reproducible(0, Placement()):
        return Network(TINY, config, in_channels=1, num_classes=10, image_size=8)


class FrozenNorms(nn.Module):
    """A network whose batch norms use their running statistics in training too: batches don't matter."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images_NCHW: torch.Tensor) -> Any:
        return self.inner(images_NCHW)

    def train(self, mode: bool = True) -> FrozenNorms:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def weights_of(training: FinalTraining[Any]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in training.evaluated.state_dict().items()}


def assert_is_fed(training: FinalTraining[Any]) -> None:
    """Fails if the network gets blank images, with which any two trainings are equal."""
    batch = next(iter(training.batches.train_batches(0, 16, rank=0, num_ranks=1)))
    assert all(bool(image_CHW.any()) for image_CHW in batch.images_NCHW)
    assert len(batch.labels_N.unique()) > 1


def train_with_frozen_norms(placement: Placement, **fields: Any) -> dict[str, torch.Tensor]:
    training = classifier_training(
        FrozenNorms(network()), source(augmentation=NO_AUGMENTATION), final_config(**fields), placement
    )
    assert_is_fed(training)
    training.run()
    return weights_of(training)
