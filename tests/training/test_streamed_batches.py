"""Streamed images reach final training: normalised, in an order that does not depend on the ranks."""

from __future__ import annotations

import torch

from raynas.data.stream import ImageBatches, PixelBatch
from raynas.nn import Network, NetworkConfig
from raynas.training.batches import StreamedBatches
from raynas.training.classification import classifier_training
from raynas.training.device import Placement
from tests.nn.small_networks import TINY
from tests.training.final_runs import final_config


class Colours:
    """Eight images whose colour is their class; a ImageBatches."""

    def num_batches(self, *, batch_size: int, num_ranks: int = 1, start: int = 0) -> int:
        return (8 - start) // (batch_size * num_ranks)

    def batches(self, *, epoch: int, batch_size: int, rank: int = 0, num_ranks: int = 1, start: int = 0):
        step = batch_size * num_ranks
        for position in range(start, 8 - step + 1, step):
            labels_N = torch.arange(position, position + step)[rank::num_ranks] % 2
            images_NCHW = (labels_N * 255).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
            yield PixelBatch(images_NCHW, labels_N, position + step)


def source() -> StreamedBatches:
    colours: ImageBatches = Colours()
    return StreamedBatches(colours, colours, num_classes=2, device="cpu")


def test_pixels_become_numbers_from_minus_one_to_one():
    batch = next(source().train_batches(0, 4, rank=0, num_ranks=1))
    assert batch.images_NCHW.dtype == torch.float32
    assert batch.images_NCHW[:, 0, 0, 0].tolist() == [-1.0, 1.0, -1.0, 1.0]
    assert (batch.labels_N.tolist(), batch.position) == ([0, 1, 0, 1], 4)


def test_an_epoch_goes_on_where_it_was_left():
    rest = list(source().train_batches(0, 2, rank=1, num_ranks=2, start=4))
    assert [batch.position for batch in rest] == [8]


def test_a_network_learns_from_it():
    config = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)
    torch.manual_seed(0)
    network = Network(TINY, config, in_channels=3, num_classes=2, image_size=8)
    settings = final_config(epochs=8, batch_size=4, optimizer={"learning_rate": 0.1})
    training = classifier_training(network, source(), settings, Placement())
    training.run()
    assert training.scores() == {"top1": 1.0, "top5": 1.0}
