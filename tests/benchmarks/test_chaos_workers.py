"""A search that loses a worker, a worker group and a node; `make chaos-workers` is the long version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]


def test_a_search_that_loses_a_worker_a_group_and_a_node_ends_as_if_left_alone():
    # A process and a Ray of its own: this one is connected to the Ray that the tests share.
    command = [sys.executable, "-m", "benchmarks.chaos.workers", "--children", "30", "--kills", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed: 1 x group, 1 x node, 1 x worker" in done.stdout
    assert "all as it should be" in done.stdout
