"""Checkpoints of final training: when one is due, and that another training's is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ray.train import Checkpoint

from raynas.engine.final_checkpoints import load_state
from raynas.errors import RunFolderError
from raynas.files import STATE_FILE
from raynas.training.checkpoint_clock import STEPS_PER_LOOK, CheckpointClock
from raynas.training.classification import classifier_training
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.final_config import TrainingSummary
from tests.training.final_runs import final_config, network, source


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def due_steps(
    num_steps: int, seconds_per_step: float, *, steps: int | None = None, minutes: float | None = None
) -> list[int]:
    time = Time()
    clock = CheckpointClock(Placement(), steps=steps, minutes=minutes, clock=time)
    due = []
    for step in range(1, num_steps + 1):
        time.now += seconds_per_step
        if clock.is_due(step):
            due.append(step)
            clock.restart(step)
    return due


@pytest.mark.parametrize(
    ("seconds_per_step", "when", "expected"),
    [
        (1.0, {}, []),
        (1.0, {"steps": 40}, [40, 80, 120, 160, 200]),
        (1.0, {"minutes": 1.0}, [60, 120, 180]),
        (100.0, {"minutes": 5.0}, list(range(3, 201, 3))),
        (400.0, {"minutes": 5.0}, list(range(1, 201))),
        (1.0, {"minutes": 1.0, "steps": 50}, [50, 100, 150, 200]),
        (0.0, {"minutes": 1.0}, []),
    ],
)
def test_a_checkpoint_is_due_by_updates_and_by_time(seconds_per_step, when, expected):
    assert due_steps(200, seconds_per_step, **when) == expected


def test_ranks_are_asked_seldom_however_far_the_time():
    looks = []

    class Counted(Placement):
        def agree(self, number: int) -> int:
            looks.append(number)
            return number

    time = Time()
    clock = CheckpointClock(Counted(), steps=None, minutes=60.0, clock=time)
    for step in range(1, 1001):
        time.now += 0.1
        assert not clock.is_due(step)
    assert len(looks) <= 1000 / STEPS_PER_LOOK + 1


def test_a_training_writes_checkpoints_by_time():
    saved: list[TrainingSummary] = []
    training = classifier_training(
        network(), source(), final_config(epochs=1, checkpoint_minutes=1e-9), Placement()
    )
    training.run(saved.append)
    assert len(saved) == training.steps_per_epoch + 1
    assert saved[-1].seconds_left == 0.0


def trained(config=None, **fields) -> FinalTraining[Any]:
    return classifier_training(network(**fields), source(), config or final_config(), Placement())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"filters": 6}, r"is \(.*\), here \("),
        ({"cells_per_stack": 2}, "is missing"),
        ({"auxiliary_head": True}, r"auxiliary\.\S+ is not in this network"),
        ({"config": final_config(average_decay=0.9)}, "it has an average of the weights"),
    ],
    ids=["filters", "cells", "auxiliary head", "average"],
)
def test_a_checkpoint_of_another_training_is_refused_and_changes_nothing(other, message):
    training = trained()
    before = copy.deepcopy(training.network.state_dict())
    with pytest.raises(RunFolderError, match=f"The checkpoint is of another training: .*{message}"):
        training.load_state_dict(trained(**other).state_dict())
    assert all(value.equal(before[key]) for key, value in training.network.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(RunFolderError, match=rf"The checkpoint {tmp_path}/state\.pt can't be read"):
        load_state(Checkpoint.from_directory(tmp_path), "cpu")
