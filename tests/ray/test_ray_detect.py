"""A detector's training on the shared Ray: two workers, a killed one, and a killed driver."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from raynas.detection.folder import load_detector
from raynas.detection.summary import DetectionSummary
from raynas.engine.config import TrainWorkerConfig
from raynas.engine.final import train_on_cluster
from raynas.engine.final_plan import plan_training
from raynas.files import TRAINING_FILE
from raynas.programs.detect.detect import detect_prepared
from raynas.programs.detect.prepare import PreparedDetection, prepare_detection
from raynas.programs.detect.worker import DetectionInput, build_detector_training
from raynas.programs.train.curve import read_curve
from raynas.programs.train.models import evaluated_weights
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.final_config import StepSummary
from tests.detection.rectangles import prepared, write_rectangles

pytestmark = pytest.mark.ray
NUM_PICTURES, BATCH_SIZE = 16, 4
SETTINGS: dict[str, Any] = {
    # Sizes are drawn and pictures mirrored, so that a resumed training has to draw the same again.
    "detector": {"sides": [64, 96], "stretch": False},
    "training": {"epochs": 2, "batch_size": BATCH_SIZE, "average_decay": 0.9, "checkpoint_steps": 3},
    "workers": {"count": 2, "cpus": 0.01},
}
DRIVER = """
import os, signal, sys
from pathlib import Path
from raynas.programs.detect.detect import detect_prepared
from raynas.programs.detect.prepare import prepare_detection

def die(summary):
    if summary.step > 3:
        os.kill(os.getpid(), signal.SIGKILL)

out, settings, address = Path(sys.argv[1]), __import__("json").loads(sys.argv[2]), sys.argv[3]
training = prepare_detection("nasnet_a", recipe="small", out=out, settings=settings)
detect_prepared(training, address=address, report_step=die)
"""
"""A driver that SIGKILL ends when it hears of the checkpoint within the second epoch."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rectangles(tmp_path_factory.mktemp("rectangles") / "data", num_train=NUM_PICTURES)


# The pool is there for its Ray alone, and leaves little of it.
@pytest.fixture(scope="module")
def undisturbed(pool: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = detect_prepared(prepared(data, tmp_path_factory.mktemp("undisturbed") / "out", **SETTINGS))
    assert [summary.epoch for summary in result.summaries] == [1, 2]
    return result.folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_detector(folder / "model").detector.state_dict())


def different(given: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    assert given.keys() == expected.keys()
    return [name for name in expected if not torch.equal(expected[name], given[name])]


def killed_once(training: PreparedDetection, marker: Path) -> Any:
    """What a worker builds; its first rank dies once, in the middle of the second epoch."""

    # Local, so that it is sent by value: workers can't import a test's module.
    class Killing:
        def __init__(self, batches: Any) -> None:
            self.batches = batches

        def __getattr__(self, name: str) -> Any:
            return getattr(self.batches, name)

        def train_batches(self, epoch: int, batch_size: int, **options: Any) -> Iterator[Any]:
            batches = self.batches.train_batches(epoch, batch_size, **options)
            for index, batch in enumerate(batches):
                if epoch == 1 and index == 2 and options["rank"] == 0 and not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

    build = functools.partial(build_detector_training, config=training.config)

    def factory(placement: Placement, given: DetectionInput) -> FinalTraining[Any]:
        made = build(placement, given)
        made.batches = Killing(made.batches)
        return made

    return factory


def test_a_killed_worker_costs_nothing_but_time(undisturbed: Path, data: Path, tmp_path: Path) -> None:
    training = prepared(data, tmp_path / "out", **SETTINGS)
    marker = tmp_path / "died"
    summaries: list[Any] = []
    states = train_on_cluster(
        killed_once(training, marker),
        DetectionInput.of(training),
        plan=plan_training(TrainWorkerConfig(count=2, cpus=0.01, gpus=0)),
        folder=tmp_path,
        score=DetectionSummary.score,
        max_failures=1,
        batch_size=BATCH_SIZE,
        report_summary=summaries.append,
    )
    assert marker.exists()
    assert [one.epoch for one in summaries if isinstance(one, DetectionSummary)] == [1, 2]
    assert {one.step for one in summaries if isinstance(one, StepSummary)} >= {3, 6}
    given = evaluated_weights(states.last)
    expected = weights(undisturbed)
    assert different({name: given[name] for name in expected}, expected) == []


def test_after_a_killed_driver_another_one_ends_with_the_same_weights(
    undisturbed: Path, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    config = json.loads((undisturbed / TRAINING_FILE).read_text())
    for recorded in ("genotype", "cell", "recipe", "run_id", "origin"):
        config.pop(recorded, None)
    address = ray.get_runtime_context().gcs_address
    words = [sys.executable, "-c", DRIVER, str(folder), json.dumps(config), address]
    driver = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert driver.returncode == -signal.SIGKILL, driver.stderr[-3000:]
    assert not (folder / "model").exists()

    steps: list[StepSummary] = []
    detect_prepared(prepare_detection(out=folder, resume=True), report_step=steps.append)
    # Not from the start: a worker goes on only once Ray Train has its last checkpoint.
    assert 3 not in {summary.step for summary in steps}
    assert [summary.epoch for summary in read_curve(folder, DetectionSummary)] == [1, 2]
    assert different(weights(folder), weights(undisturbed)) == []
