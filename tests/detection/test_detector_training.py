"""A detector's training: what it leaves behind when it is interrupted, and what it refuses."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.detection.summary import DetectionSummary
from raynas.errors import DataError, TrainingFailed
from tests.detection.rectangles import prepared, training_of, write_rectangles


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_rectangles(tmp_path_factory.mktemp("rectangles") / "data")


INTERRUPTED: dict[str, Any] = {
    # Sizes are drawn and pictures mirrored, so that a resumed training has to draw the same again.
    "detector": {"sides": [64, 96], "stretch": False},
    "training": {"average_decay": 0.9, "checkpoint_steps": 3, "schedule": {"warmup_epochs": 0.5}},
}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An undisturbed training, its checkpoints and what it reported."""
    plan = prepared(data, tmp_path_factory.mktemp("whole") / "out", **INTERRUPTED)
    training = training_of(plan)
    states: list[bytes] = []
    summaries = []

    def save(summary):
        file = io.BytesIO()
        torch.save(training.state_dict(), file)
        states.append(file.getvalue())
        summaries.append(summary)

    training.run(save)
    return plan, training, states, summaries


# Within the first epoch, after it, within the second epoch, and at the end.
@pytest.mark.slow
@pytest.mark.parametrize("saved", [0, 1, 2, 3])
def test_an_interrupted_training_ends_with_the_same_weights(whole, saved):
    plan, training, states, summaries = whole
    assert len(states) == 4
    resumed = training_of(plan)
    resumed.load_state_dict(torch.load(io.BytesIO(states[saved]), weights_only=True))
    again: list[Any] = []
    resumed.run(again.append)
    expected, given = training.evaluated.state_dict(), resumed.evaluated.state_dict()
    assert expected.keys() == given.keys()
    assert [name for name in expected if not torch.equal(expected[name], given[name])] == []
    scores = [{name: getattr(one, name, None) for name in ("epoch", "ap", "ar100")} for one in summaries]
    assert [{name: getattr(one, name, None) for name in scores[0]} for one in again] == scores[saved + 1 :]


def test_an_interrupted_training_is_one_that_learns(whole):
    plan, training, _, summaries = whole
    epochs = [one for one in summaries if isinstance(one, DetectionSummary)]
    assert [one.epoch for one in epochs] == [1, 2]
    assert epochs[1].train_loss < epochs[0].train_loss
    assert set(epochs[1].ap_of_classes) == {"red", "green", "blue"}
    start = training_of(plan).network.state_dict()
    same = [name for name, value in training.network.state_dict().items() if torch.equal(value, start[name])]
    assert [name for name in same if "num_batches" not in name] == []


def test_pictures_of_a_single_colour_end_a_training_with_advice(tmp_path):
    data = write_rectangles(tmp_path / "data")
    for file in (data / "train2017").iterdir():
        Image.new("RGB", (96, 96), "white").save(file)
    with pytest.raises(DataError, match="first 2 training pictures are of a single colour each"):
        training_of(prepared(data, tmp_path / "out")).run()


def test_a_training_that_diverges_ends_with_advice(data, tmp_path):
    plan = prepared(
        data, tmp_path / "out", training={"optimizer": {"learning_rate": 1e18}, "gradient_clip": None}
    )
    with pytest.raises(TrainingFailed, match=r"learning.rate"):
        training_of(plan).run()


def test_pictures_without_boxes_are_trained_on(tmp_path):
    data = write_rectangles(tmp_path / "data", num_train=4)
    file = data / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == 0]
    file.write_text(json.dumps(content))
    training = training_of(prepared(data, tmp_path / "out", training={"epochs": 1}))
    summaries: list[Any] = []
    training.run(summaries.append)
    assert training.step == 2
    assert np.isfinite(summaries[-1].train_loss)


@pytest.mark.slow
def test_rectangles_in_unseen_pictures_are_found_after_two_hundred_updates(tmp_path):
    data = write_rectangles(tmp_path / "data", num_train=200, num_validation=24)
    plan = prepared(
        data,
        tmp_path / "out",
        detector={
            "fpn_channels": 32,
            "box_features": 64,
            "proposals": {"kept": 100, "kept_train": 100},
            "boxes": {"batch": 64},
        },
        training={"epochs": 4, "batch_size": 4, "schedule": {"warmup_epochs": 0.4}},
    )
    summaries: list[Any] = []
    training = training_of(plan)
    training.run(summaries.append)
    assert training.step == 200
    assert summaries[-1].ap50 > 0.4
    assert summaries[-1].ap > summaries[0].ap
