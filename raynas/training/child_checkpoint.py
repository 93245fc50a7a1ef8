"""A child in the middle of its training as bytes, from which another worker comes to the same end."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Protocol

import torch


class Checkpoints(Protocol):
    """Where one child is kept while it trains."""

    def load(self) -> bytes | None:
        """What an earlier attempt kept last; None: this is the first, or it got nowhere."""

    def save(self, epoch: int, state: bytes) -> None:
        """Keeps the child as it is after an epoch, in the place of what was kept before."""

    def is_due(self, epoch: int) -> bool:
        """Whether the child is to be kept after this epoch."""


def to_bytes(state: Mapping[str, Any]) -> bytes:
    """Tensors, numbers, strings and containers of them."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def from_bytes(state: bytes, device: str) -> Mapping[str, Any]:
    """What `to_bytes` was given; nothing but tensors and plain values is unpickled."""
    loaded: Mapping[str, Any] = torch.load(io.BytesIO(state), map_location=device, weights_only=True)
    return loaded


def random_state(device: str) -> dict[str, Any]:
    """Of torch, where it draws for a training on this device."""
    is_cuda = torch.device(device).type == "cuda"
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(device) if is_cuda else None}


def set_random_state(state: Mapping[str, Any], device: str) -> None:
    """The inverse of `random_state`; one that was taken elsewhere is used as far as it goes."""
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and torch.device(device).type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
