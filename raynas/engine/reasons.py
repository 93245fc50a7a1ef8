"""Why a child failed and why a worker died, in words that say what to do."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import torch
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError

from raynas.child import ChildResult
from raynas.training.device import is_out_of_memory

MAX_REASON_LENGTH = 1000
GPU_MEMORY = "out of GPU memory: use a smaller child.batch_size or network, or fewer workers on a GPU"
HOST_MEMORY = (
    "out of host memory: use a smaller child.batch_size or network, or fewer workers on a node "
    "(larger workers.cpus)"
)
CRASHED = (
    "killed by a signal, or ended by a crash or an exit in the code that it ran; its log in Ray's folder may "
    "say more"
)
NODE_LOST = "its node was lost"


def failed(error: BaseException, seconds: float = 0.0) -> ChildResult:
    """The result of a child that raised."""
    return ChildResult(status="failed", seconds=seconds, reason=_reason(error)[:MAX_REASON_LENGTH])


def _reason(error: BaseException) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return GPU_MEMORY
    if isinstance(error, MemoryError) or (isinstance(error, Exception) and is_out_of_memory(error)):
        return HOST_MEMORY
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (in {place.name}, {place.filename}, line {place.lineno})"


@dataclass(frozen=True, slots=True)
class Death:
    """What became of a worker."""

    reason: str
    is_its_own: bool
    """What it ran may be the cause; not so if its node went."""


def death_of(error: BaseException) -> Death:
    """What Ray Train's poll of a worker says when there is no worker any more."""
    # Train wraps what Ray says; the attribute is its own.
    cause = getattr(error, "health_check_failure", error)
    text = str(cause)
    # Ray has no types for these two; the words are those of its 2.60.
    if isinstance(cause, OutOfMemoryError) or "running low on memory" in text:
        return Death(HOST_MEMORY, is_its_own=True)
    if isinstance(cause, ActorUnavailableError) or "its node has died" in text:
        return Death(NODE_LOST, is_its_own=False)
    if isinstance(cause, RayActorError):
        return Death(CRASHED, is_its_own=True)
    return Death(f"{type(cause).__name__}: {text}"[:MAX_REASON_LENGTH], is_its_own=True)
