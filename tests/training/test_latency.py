"""The measured latency: what is timed, that training is the same with it, and who is refused."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from raynas.child import NO_LIMITS, Child, LimitsConfig
from raynas.training.config import LatencyConfig
from raynas.training.device import Placement
from raynas.training.latency import LatencyCheck, measured_latency
from raynas.training.trainer import ChildTrainer
from tests.nn.small_networks import TINY
from tests.training.tiny_children import NETWORK, child_config, digits


class Recorder(nn.Module):
    """Records what it is called with; the passes take the given seconds on a clock of the test's own."""

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.seconds, self.now = iter(seconds), 0.0
        self.calls: list[tuple[tuple[int, ...], bool]] = []

    def forward(self, images_NCHW):
        self.calls.append((tuple(images_NCHW.shape), self.training))
        self.now += next(self.seconds)
        return self.norm(images_NCHW)


def test_it_is_the_median_of_the_passes_after_the_warm_up(monkeypatch):
    network = Recorder([100.0, 50.0, 3.0, 1.0, 2.0])
    monkeypatch.setattr(time, "perf_counter", lambda: network.now)
    config = LatencyConfig(batch_size=4, warmup=2, repeats=3)
    assert measured_latency(network, config, in_channels=1, image_size=8, precision="float32") == 2000.0
    assert network.calls == [((4, 1, 8, 8), False)] * 5
    assert network.training
    assert network.norm.num_batches_tracked == 0


def trained(latency: LatencyCheck | None, **fields):
    trainer = ChildTrainer(NETWORK, child_config(epochs=1, **fields), digits(), Placement(), latency)
    state = torch.get_rng_state()
    result = trainer(Child(0, TINY, TINY.arch_id, 1), lambda report: None, lambda: False)
    assert torch.equal(torch.get_rng_state(), state)
    return result


FEW = LatencyConfig(warmup=0, repeats=3)


def test_a_child_that_was_measured_trains_as_one_that_was_not():
    plain, measured = trained(None), trained(LatencyCheck(FEW, NO_LIMITS))
    assert plain.latency_ms is None
    assert measured.latency_ms > 0
    assert measured.accuracy == plain.accuracy
    assert [report.train_loss for report in measured.curve] == [report.train_loss for report in plain.curve]


@pytest.mark.parametrize(("limit", "status"), [(1e-6, "infeasible"), (1e9, "completed")])
def test_a_child_beyond_the_limit_is_never_trained(limit, status):
    result = trained(LatencyCheck(FEW, LimitsConfig(latency_ms=limit)))
    assert result.status == status
    assert result.latency_ms > 0
    if status == "infeasible":
        assert (result.accuracy, result.curve) == (None, ())
        assert result.reason.startswith(f"latency_ms {result.latency_ms:.4g} > limits.latency_ms ")
