"""Why a child failed and why a worker died, in sentences that say what to do."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import torch
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError

from raynas.child import ChildResult
from raynas.training.device import is_out_of_memory

MAX_CHILD_REASON_LENGTH = 1000
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


def failed_result(error: BaseException, seconds: float = 0.0) -> ChildResult:
    """The result of a child that raised `error` after `seconds`."""
    return ChildResult(status="failed", seconds=seconds, reason=_reason(error)[:MAX_CHILD_REASON_LENGTH])


def _reason(error: BaseException) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return GPU_MEMORY
    if isinstance(error, MemoryError) or (isinstance(error, Exception) and is_out_of_memory(error)):
        return HOST_MEMORY
    # The innermost frame, where the error was raised.
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (in {place.name}, {place.filename}, line {place.lineno})"


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """Why a worker died."""

    reason: str
    caused_by_child: bool
    """Whether the code that it ran may be the cause; False if its node was lost."""


def explain_death(error: BaseException) -> WorkerDeath:
    """Explains the error that Ray Train's health check gives for a worker that is gone."""
    # Train wraps Ray's own error; the attribute is not part of its API.
    cause = getattr(error, "health_check_failure", error)
    text = str(cause)
    # Ray has no exception types for these two; the phrases are those of its 2.60.
    if isinstance(cause, OutOfMemoryError) or "running low on memory" in text:
        return WorkerDeath(HOST_MEMORY, caused_by_child=True)
    if isinstance(cause, ActorUnavailableError) or "its node has died" in text:
        return WorkerDeath(NODE_LOST, caused_by_child=False)
    if isinstance(cause, RayActorError):
        return WorkerDeath(CRASHED, caused_by_child=True)
    return WorkerDeath(f"{type(cause).__name__}: {text}"[:MAX_CHILD_REASON_LENGTH], caused_by_child=True)
