"""One torch thread, a hundred real images, and small networks whose logits depend on every layer."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from raynas.data import DataConfig, load_split
from raynas.models.folder import LoadedModel
from tests.models.small_models import SMALL_MODELS

NUM_IMAGES, IMAGE_SIZE = 100, 32


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def images_NCHW(request: pytest.FixtureRequest) -> Tensor:
    """Colour images: CIFAR-10's where it is there, else scikit-learn's digits, enlarged."""
    try:
        source = str(request.getfixturevalue("real_data") / "cifar10")
    except pytest.skip.Exception:
        source = "digits"
    split = load_split(
        DataConfig(source=source, train_images=NUM_IMAGES, validation_images=20, image_size=IMAGE_SIZE),
        seed=0,
    )
    images_NHWC = torch.from_numpy(split.train_images_NHWC.copy()).float() / 255.0
    normalised_NHWC = (images_NHWC - torch.tensor(split.mean_C)) / torch.tensor(split.std_C)
    return normalised_NHWC.permute(0, 3, 1, 2).expand(-1, 3, -1, -1).contiguous()


@pytest.fixture(scope="package")
def models(images_NCHW: Tensor) -> dict[str, LoadedModel]:
    return {name: make(images_NCHW) for name, make in SMALL_MODELS.items()}


@pytest.fixture
def model(models: dict[str, LoadedModel]) -> LoadedModel:
    """NASNet-A with an auxiliary head."""
    return models["nasnet_a"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
