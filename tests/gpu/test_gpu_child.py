"""A child on a CUDA device."""

from __future__ import annotations

import pytest
import torch

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.training.device import Placement, autocast_type
from raynas.training.images import DeviceImages
from search_spaces.nasnet import NASNET_A
from tests.training.tiny_children import NETWORK, digits, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

# No max pool: its gradient on CUDA is summed in any order.
REPEATABLE = Genotype(
    CellGenotype((Block(0, "sep_conv_3x3", 1, "identity"),), (2,)),
    CellGenotype((Block(0, "conv_3x3", 1, "conv_1x1"),), (2,)),
)


def train_on(device: str, genotype: Genotype = REPEATABLE, **fields):
    images = DeviceImages(digits(600, 300).split, device)
    return train(genotype, images=images, placement=Placement(device=device), **fields)


def test_nasnet_a_trains_on_the_gpu_in_the_automatic_precision():
    network = NETWORK.model_copy(update={"auxiliary_head": True, "drop_path": 0.2})
    augmentation = {"crop_padding": 1, "flip": True, "cutout": 2}
    result = train_on("cuda", NASNET_A, network=network, precision="auto", augmentation=augmentation)
    assert result.status == "completed"
    assert len(result.curve) == 2


def test_same_seed_gives_the_same_accuracy():
    first, second = (train_on("cuda", seed=3) for _ in range(2))
    assert [report.accuracy for report in first.curve] == [report.accuracy for report in second.curve]


def test_bfloat16_is_used_where_the_gpu_has_it():
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    assert autocast_type("auto", "cuda") is (torch.bfloat16 if has_it else None)


def test_first_epoch_is_near_to_the_cpus():
    gpu, cpu = (train_on(device, epochs=1).curve[0] for device in ("cuda", "cpu"))
    assert gpu.accuracy == pytest.approx(cpu.accuracy, abs=0.1)
    assert gpu.train_loss == pytest.approx(cpu.train_loss, abs=0.1)


def test_network_and_images_lie_on_the_gpu():
    images = DeviceImages(digits().split, "cuda")
    ((images_NCHW, labels_N), *_) = images.validation_batches(100)
    assert images_NCHW.is_cuda and labels_N.is_cuda
    assert images_NCHW.is_contiguous(memory_format=torch.channels_last)


def test_callers_random_state_and_algorithms_come_back():
    before = torch.cuda.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    train_on("cuda", epochs=1)
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.are_deterministic_algorithms_enabled() == before[1]
