"""Networks that are no cells, in numbers that everybody can check."""

from __future__ import annotations

import pytest
import torch

from raynas.errors import ModelError, UnknownName
from raynas.models.folder import INFO_FILE, REFERENCE_TASK, read_info
from raynas.models.reference import ReferenceSpec


@pytest.mark.parametrize(
    ("spec", "parameters", "mult_adds"),
    [
        # torchvision's documentation of ResNet18_Weights: 11,689,512 parameters, 1.81 GFLOPS.
        (ReferenceSpec("resnet18", 3, 1000, 224), 11_689_512, 1_814_073_344),
        # With a 3x3 stem for CIFAR-10, as in github.com/kuangliu/pytorch-cifar: 11,173,962 parameters.
        (ReferenceSpec("resnet18", 3, 10, 32), 11_173_962, 555_422_720),
    ],
)
def test_resnet18_has_its_published_size(spec, parameters, mult_adds):
    assert spec.parameters() == parameters
    assert spec.mult_adds() == mult_adds


@pytest.mark.parametrize(("channels", "image_size"), [(1, 8), (4, 96)])
def test_resnet18_takes_images_of_any_channels(channels, image_size):
    network = ReferenceSpec("resnet18", channels, 5, image_size).build()
    assert network(torch.zeros(2, channels, image_size, image_size)).shape == (2, 5)


def test_another_name_is_refused():
    with pytest.raises(UnknownName, match="No reference network is called 'resnet19'"):
        ReferenceSpec("resnet19", 3, 10, 32).build()


def test_its_folder_is_no_network_of_cells(tmp_path):
    (tmp_path / INFO_FILE).write_text(f'{{"task": "{REFERENCE_TASK}", "name": "resnet18"}}')
    with pytest.raises(ModelError, match="describes 'resnet18', which is not made of cells"):
        read_info(tmp_path)
