"""The error for the user when Ray has given up on a training."""

from __future__ import annotations

import pytest
from ray.train import WorkerGroupError

from raynas.engine.final import workers_lost

KILLED = """Worker health check failed
Task was killed due to the node running low on memory.
Memory on the node was 23.1GB / 23.5GB.
And pages of advice."""
TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1
ZeroDivisionError: division by zero
"""


@pytest.mark.parametrize(
    ("text", "reason", "is_memory"),
    [
        (KILLED, "Worker health check failed.", True),
        (TRACEBACK, "ZeroDivisionError: division by zero.", False),
    ],
)
def test_the_message_is_one_line_with_the_reason_and_the_batch_if_memory_ran_out(text, reason, is_memory):
    error = WorkerGroupError(f"[Rank 0,1 Error Snippet]:\n{text}", {0: RuntimeError(text)})
    message = str(workers_lost(error, 96))
    assert message.startswith(f"The workers could not be kept training: {reason}")
    assert ("memory ran out. An update has 96 images" in message) == is_memory
    assert message.endswith("resume the training from there (resume=True, --resume).")
    assert "\n" not in message
