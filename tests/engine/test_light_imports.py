"""What is imported before anything is trained: seconds of starting that nobody should wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest

NO_TORCH = ("torch",)
NOTHING_LARGE = ("torch", "ray", "mlflow", "numpy", "pyarrow", "pandas")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        # The controller of a worker group, and the work queue: two processes that start before the workers.
        ("raynas.engine.group_backend", NO_TORCH),
        ("raynas.engine.queue_actor", (*NO_TORCH, "ray.train")),
        # A worker.
        ("raynas.training.trainer", ("mlflow", "ray", "pyarrow")),
        ("raynas.engine.worker", ("mlflow", "ray.tune")),
        # A command that reads its words.
        ("raynas.cli.main", NOTHING_LARGE),
        ("raynas.programs.search.config", NOTHING_LARGE),
        ("raynas.programs.train.config", NOTHING_LARGE),
    ],
)
def test_a_module_loads_no_library_that_it_does_not_need(module, unwanted):
    code = f"import sys, {module}; print(*[name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
