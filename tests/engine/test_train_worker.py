"""The errors that a worker of a final training reports to its driver, without Ray's processes."""

from __future__ import annotations

import types
from typing import Any

import pytest
import ray.train
import torch

from raynas.engine.final_worker import FinalWorkerSettings, train_worker
from raynas.errors import DataError, RaynasError, TrainingFailed


class FakeMailbox:
    """A FinalMailbox whose calls are not remote."""

    def __init__(self) -> None:
        self.error: RaynasError | None = None
        self.is_stopped = types.SimpleNamespace(remote=lambda: False)
        self.fail = types.SimpleNamespace(remote=self._fail)

    def _fail(self, error: RaynasError) -> None:
        self.error = error


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> FakeMailbox:
    """Stands for the driver's mailbox; this process is the only worker."""
    mailbox = FakeMailbox()
    context = types.SimpleNamespace(get_world_rank=lambda: 0, get_world_size=lambda: 1)
    monkeypatch.setattr(ray, "get_actor", lambda name: mailbox)
    monkeypatch.setattr(ray, "get", lambda value: value)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    return mailbox


def work(error: Exception) -> None:
    def factory(placement: Any, data: Any) -> Any:
        raise error

    train_worker(FinalWorkerSettings("mailbox", factory, [None], torch.get_num_threads(), uses_gpu=False))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (DataError("shard 7 is broken"), DataError, "shard 7 is broken"),
        (torch.OutOfMemoryError("CUDA out of memory"), TrainingFailed, r"ran out of memory.*accumulate"),
        (MemoryError(), TrainingFailed, r"ran out of memory.*accumulate"),
    ],
)
def test_an_error_that_a_restart_would_repeat_is_reported_to_the_driver(mailbox, error, kind, message):
    with pytest.raises(kind, match=message) as caught:
        work(error)
    assert mailbox.error is caught.value


@pytest.mark.parametrize(
    "error", [ValueError("Expected more"), TypeError("no"), KeyError("x"), NotImplementedError("y")]
)
def test_d8_a_programming_error_is_reported_at_once_and_not_retried(mailbox, error):
    with pytest.raises(
        TrainingFailed, match=rf"{type(error).__name__}.*test_train_worker\.py.*none was tried"
    ):
        work(error)
    assert isinstance(mailbox.error, TrainingFailed)


def test_another_error_is_left_to_ray_train_which_restarts_the_workers(mailbox):
    with pytest.raises(RuntimeError, match="connection reset"):
        work(RuntimeError("connection reset"))
    assert mailbox.error is None
