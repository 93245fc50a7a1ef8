"""Training images grow from stage to stage; which images come, and in which order, doesn't change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raynas.data.stream import GrowingBatches, Growth, ImageIndex, Shuffle, TrainTransform, local_batches
from raynas.data.stream.batches import PlannedBatches
from raynas.nn import Network, NetworkConfig
from tests.data.stream.stream_sets import write_shards
from tests.nn.small_networks import TINY


@pytest.mark.parametrize(
    ("growth", "stages"),
    [
        (Growth(128, 224, 4, 300), [(128, 75), (160, 75), (192, 75), (224, 75)]),
        (Growth(128, 224, 4, 8), [(128, 2), (160, 2), (192, 2), (224, 2)]),
        (Growth(128, 331, 3, 7), [(128, 2), (229, 2), (331, 3)]),
        (Growth(128, 224, 4, 2), [(128, 1), (224, 1)]),
        (Growth(128, 224, 4, 1), [(224, 1)]),
        (Growth(224, 224, 4, 10), [(224, 10)]),
    ],
)
def test_stages_are_of_equal_length_and_the_last_is_full_size(growth, stages):
    assert sum(epochs for _, epochs in growth.stages) == growth.epochs
    assert growth.stages == stages


def test_share_is_that_of_the_pixels():
    assert Growth(1, 2, 2, 2).share == pytest.approx((1 + 4) / 2 / 4)
    assert Growth(8, 8, 4, 10).share == 1.0


@pytest.fixture
def planned(tmp_path: Path) -> PlannedBatches:
    index = ImageIndex.find(str(write_shards(tmp_path)))
    return local_batches(index.train, TrainTransform(16), shuffle=Shuffle(0), num_processes=0)


def test_each_epoch_has_its_size_and_the_same_images_in_order(planned):
    growing = GrowingBatches(planned, TrainTransform(16), Growth(8, 16, 2, 4))
    assert growing.num_batches(batch_size=10) == planned.num_batches(batch_size=10)
    for epoch, size in enumerate((8, 8, 16, 16)):
        ours = list(growing.batches(epoch=epoch, batch_size=10, start=10))
        plain = list(planned.batches(epoch=epoch, batch_size=10, start=10))
        assert {tuple(batch.images_NCHW.shape) for batch in ours} == {(10, 3, size, size)}
        assert [batch.position for batch in ours] == [batch.position for batch in plain]
        assert all(one.labels_N.equal(other.labels_N) for one, other in zip(ours, plain, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nasnet", "darts", "darts_imagenet"])
@pytest.mark.parametrize("size", [16, 40, 80])
def test_a_network_with_an_auxiliary_head_trains_at_other_sizes(kind, size):
    config = NetworkConfig(cells_per_stack=1, filters=4, auxiliary_head=True, auxiliary_kind=kind)
    network = Network(TINY, config, in_channels=3, num_classes=5, image_size=64)
    assert network.auxiliary is not None
    logits_NK, auxiliary_NK = network(torch.rand(2, 3, size, size))
    assert logits_NK.shape == auxiliary_NK.shape == (2, 5)
    auxiliary_NK.sum().backward()
    gradients = [parameter.grad for parameter in network.auxiliary.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
