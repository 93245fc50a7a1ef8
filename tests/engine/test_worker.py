"""What a worker says of a child that raises; the queue is a stand-in."""

from __future__ import annotations

import time
from types import SimpleNamespace

from raynas.child import Child, ChildResult
from raynas.engine.worker import _Worker
from raynas.training import Placement
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
