"""Checkpoints of a child between two epochs, as bytes, from which another worker gets the same result."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Protocol

import torch


class ChildCheckpoints(Protocol):
    """The place where the checkpoints of one child are kept while it trains."""

    def load(self) -> bytes | None:
        """The last checkpoint of an earlier attempt; None if there is none."""

    def save(self, epoch: int, state: bytes) -> None:
        """Replaces the checkpoint by the child's state after `epoch`."""

    def is_due(self, epoch: int) -> bool:
        """Whether the state after this epoch should be saved."""


def to_bytes(state: Mapping[str, Any]) -> bytes:
    """Serialises tensors, numbers, strings and containers of them."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def from_bytes(state: bytes, device: str) -> Mapping[str, Any]:
    """The inverse of `to_bytes`; nothing but tensors and plain values is unpickled."""
    loaded: Mapping[str, Any] = torch.load(io.BytesIO(state), map_location=device, weights_only=True)
    return loaded


def random_state(device: str) -> dict[str, Any]:
    """State of torch's random number generators on the CPU and, if it is a GPU, on this device."""
    is_cuda = torch.device(device).type == "cuda"
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(device) if is_cuda else None}


def set_random_state(state: Mapping[str, Any], device: str) -> None:
    """Restores a `random_state`; the state of a GPU is ignored on a CPU."""
    # Loaded with map_location the states may be on the GPU, but generators take them from the CPU only.
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and torch.device(device).type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
