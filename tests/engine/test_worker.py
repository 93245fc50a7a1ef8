"""What a worker says of a child that raises; the queue is a stand-in."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch

from raynas.child import Child, ChildResult
from raynas.engine.worker import CONTEXT_BYTES, _limit_memory, _Worker
from raynas.training.device import Placement
from search_spaces.nasnet import NASNET_A

QUEUE = SimpleNamespace(stopped=SimpleNamespace(remote=lambda child: None))


def test_a_child_that_raises_has_cost_the_time_until_then():
    def train(*_: object) -> ChildResult:
        time.sleep(0.05)
        raise RuntimeError("boom")

    worker = _Worker(QUEUE, "w", Placement(device="cpu"), train)
    result = worker._train(Child(0, NASNET_A, NASNET_A.arch_id, seed=0))
    assert (result.status, result.accuracy) == ("failed", None)
    assert result.reason.startswith("RuntimeError: boom (in train, ")
    assert result.seconds >= 0.05


def test_a_child_that_exits_does_not_end_its_worker():
    def train(*_: object) -> ChildResult:
        raise SystemExit(3)

    worker = _Worker(QUEUE, "w", Placement(device="cpu"), train)
    result = worker._train(Child(0, NASNET_A, NASNET_A.arch_id, seed=0))
    assert result.status == "failed"
    assert result.reason.startswith("SystemExit: 3 (in train, ")


@pytest.mark.parametrize(("gpus", "fraction"), [(0.5, 0.45), (0.25, 0.2), (0.01, 0.01)])
def test_workers_that_share_a_card_keep_to_their_share_with_room_for_their_contexts(
    gpus, fraction, monkeypatch
):
    total = 20 * CONTEXT_BYTES
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=total)
    )
    kept = {}
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: kept.update({device: share})
    )
    _limit_memory("cuda:1", gpus)
    assert kept == {"cuda:1": pytest.approx(fraction)}
