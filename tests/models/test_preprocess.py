"""Pictures become the input that timm's weights were measured with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.models.networks import NETWORKS
from raynas.models.preprocess import Preprocessing
from raynas.models.torchvision_import import load_torchvision
from tests.models.large_networks import needs_timm


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (331, 331), (64, 48), (1001, 333)])
@needs_timm
def test_preprocessing_is_timms(size):
    load_torchvision()
    import timm
    from timm.data import create_transform, resolve_data_config

    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("nasnetalarge.tf_in1k").to_dict())
    expected_CHW = create_transform(**config)(picture(*size))
    given_CHW = NETWORKS["nasnet_a_large"].preprocessing(picture(*size))
    assert torch.allclose(given_CHW, expected_CHW, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_mode_becomes_three_channels_in_range(mode):
    image_CHW = Preprocessing(64)(picture(100, 80, mode))
    assert image_CHW.shape == (3, 64, 64)
    assert image_CHW.min() >= -1.0 and image_CHW.max() <= 1.0
