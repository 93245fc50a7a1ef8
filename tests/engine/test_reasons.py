"""The reasons given for failed children and dead workers."""

from __future__ import annotations

import pytest
import torch
from ray.core.generated.common_pb2 import ActorDiedErrorContext  # type: ignore[attr-defined]
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from raynas.engine.deaths import CRASHED, HOST_MEMORY, NODE_LOST, WorkerDeath, explain_death
from raynas.engine.reasons import GPU_MEMORY, failed_result


def raised(error: BaseException) -> BaseException:
    """The error with a traceback, as a child's error has one."""
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), GPU_MEMORY),
        (MemoryError(), HOST_MEMORY),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            HOST_MEMORY,
        ),
    ],
)
def test_a_child_without_memory_says_which(error, reason):
    assert failed_result(raised(error), 3.0).reason == reason


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit("boom")])
def test_a_child_that_raises_says_what_and_where(error):
    result = failed_result(raised(error), 3.0)
    assert (result.status, result.seconds) == ("failed", 3.0)
    assert result.reason.startswith(f"{type(error).__name__}: boom (in raised, ")
    assert "test_reasons.py, line " in result.reason


def test_a_reason_has_an_end():
    assert len(failed_result(raised(ValueError("x" * 9999))).reason) == 1000


def poll_failed(cause: Exception) -> Exception:
    """As Ray Train reports a worker that it can't reach."""
    return WorkerHealthCheckFailedError("A worker health check failed.\nWorker info: ...", failure=cause)


def died(text: str) -> Exception:
    return ActorDiedError(ActorDiedErrorContext(error_message=text, actor_id=b"0" * 16))


# As Ray 2.60 writes them.
KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit "
    "detail: "
    "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) "
    "the process was killed by the OOM killer due to high memory usage, (2) ray stop --force was called"
)
NO_MEMORY = "1 worker(s) were killed due to the node running low on memory. Refer to the documentation"
NODE_DIED = "The actor died because its node has died. Node Id: 0123\nthe node was terminated"


@pytest.mark.parametrize(
    ("error", "death"),
    [
        (poll_failed(died(KILLED)), WorkerDeath(CRASHED, caused_by_child=True)),
        (poll_failed(died(NO_MEMORY)), WorkerDeath(HOST_MEMORY, caused_by_child=True)),
        (poll_failed(OutOfMemoryError("Task was killed")), WorkerDeath(HOST_MEMORY, caused_by_child=True)),
        (poll_failed(died(NODE_DIED)), WorkerDeath(NODE_LOST, caused_by_child=False)),
        (
            poll_failed(ActorUnavailableError("lost", b"0" * 16)),
            WorkerDeath(NODE_LOST, caused_by_child=False),
        ),
        (ValueError("boom"), WorkerDeath("ValueError: boom", caused_by_child=True)),
    ],
    ids=["killed", "memory", "memory error", "node", "unreachable", "raised"],
)
def test_a_dead_worker_has_a_reason(error, death):
    assert explain_death(error) == death
