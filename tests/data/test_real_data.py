"""CIFAR-10 and Tiny-ImageNet, if they are in RAYNAS_TEST_DATA, by default ../shared/data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raynas.data import DataConfig, load_split

_DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def real_data(name: str) -> str:
    path = Path(os.environ.get("RAYNAS_TEST_DATA", _DEFAULT)) / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set RAYNAS_TEST_DATA to the folder that holds {name}")
    return str(path)


def test_cifar_10_has_10_classes_of_32_pixels():
    config = DataConfig(source=real_data("cifar10"), train_images=400, validation_images=100)
    split = load_split(config, seed=0)
    assert (split.num_classes, split.image_size, split.num_channels, split.name) == (10, 32, 3, "cifar10")
    assert (len(split.train_labels_N), len(split.validation_labels_N)) == (400, 100)
    assert split.class_names is not None
    assert split.class_names[0] == "airplane"


def test_cifar_10_statistics_are_near_the_published_ones():
    config = DataConfig(source=real_data("cifar10"), train_images=2000, validation_images=100)
    split = load_split(config, seed=0)
    assert split.mean_C == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.01)
    assert split.std_C == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.01)


def test_tiny_imagenet_has_200_classes_of_64_pixels():
    config = DataConfig(source=real_data("tiny_imagenet"), train_images=400, validation_images=100)
    split = load_split(config, seed=0)
    assert (split.num_classes, split.image_size, split.num_channels) == (200, 64, 3)
