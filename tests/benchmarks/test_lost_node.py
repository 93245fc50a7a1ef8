"""A final training on two nodes of a Ray of its own, of which one is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
SETTINGS = (
    "network.cells_per_stack=1",
    "network.filters=4",
    "training.epochs=2",
    "training.checkpoint_steps=10",
)


def test_the_other_node_goes_on_alone(tmp_path):
    arguments = ["nasnet_a", "--data", "digits", "--recipe", "cifar_final", "--cases", "gone"]
    settings = [argument for setting in SETTINGS for argument in ("--set", setting)]
    command = [sys.executable, "-m", "benchmarks.lost_node", *arguments, *settings, "--out", tmp_path / "out"]
    # Ray Train may first wait for room on the lost node; 30 seconds by default would be most of the test.
    environment = os.environ | {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5"}
    # A process of its own: this one is connected to the Ray that the tests share.
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout[done.stdout.index("\n[") :])
    assert case["killed_after"] is not None
    assert [summary["epoch"] for summary in case["curve"]] == [1, 2]
    # The head without CPUs, and one more.
    assert case["nodes_at_the_end"] == 2
