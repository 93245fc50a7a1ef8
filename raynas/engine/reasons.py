"""Why a child failed, in sentences that say what to do."""

from __future__ import annotations

import traceback

import torch

from raynas.child import ChildResult
from raynas.engine.deaths import HOST_MEMORY, MAX_CHILD_REASON_LENGTH
from raynas.training.device import is_out_of_memory

GPU_MEMORY = "out of GPU memory: use a smaller child.batch_size or network, or fewer workers on a GPU"


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
