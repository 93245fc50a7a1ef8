"""Why a worker died, in sentences that say what to do."""

from __future__ import annotations

from dataclasses import dataclass

from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError

MAX_CHILD_REASON_LENGTH = 1000
HOST_MEMORY = (
    "out of host memory: use a smaller child.batch_size or network, or fewer workers on a node "
    "(larger workers.cpus)"
)
CRASHED = (
    "killed by a signal, or ended by a crash or an exit in the code that it ran; its log in Ray's folder may "
    "say more"
)
NODE_LOST = "its node was lost"


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
