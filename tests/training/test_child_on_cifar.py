"""A child on real images."""

from __future__ import annotations

from raynas.data import DataConfig, load_split
from raynas.training.images import DeviceImages
from tests.training.tiny_children import NETWORK, train


def test_child_trains_an_epoch_on_cifar_10(real_data):
    config = DataConfig(source=str(real_data / "cifar10"), train_images=150, validation_images=50)
    images = DeviceImages(load_split(config, seed=0))
    network = NETWORK.model_copy(update={"num_reductions": 2, "auxiliary_head": True})
    augmentation = {"crop_padding": 4, "flip": True, "cutout": 8}
    result = train(images=images, network=network, epochs=1, augmentation=augmentation)
    assert result.status == "completed"
    assert 0 <= result.accuracy <= 1
    assert 1 < result.curve[0].train_loss < 10
