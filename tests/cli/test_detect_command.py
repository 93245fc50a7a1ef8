"""`raynas detect`: the plan that it prints, and the words and settings that it refuses."""

from __future__ import annotations

import json

import pytest

from raynas.cli.terminal.quantities import short_count
from raynas.detection.complexity import detector_complexity
from raynas.programs.detect.prepare import prepare_detection
from tests.cli.detect_calls import SMALL, call, plan_of, refused
from tests.detection.coco_sets import write_coco

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_the_plan_says_what_is_going_to_be_done(tmp_path):
    text = plan_of(write_coco(tmp_path / "data"), "--pictures-per-second", "2")
    assert "raynas detect: nasnet_a, recipe small, seed 0" in text
    assert "maps of strides 8, 16, 32 and a pyramid of 64 channels; squares of 192 pixels" in text
    assert "weights: random weights" in text
    assert "3 classes; 4 training pictures with 8 boxes, 2 validation pictures with 4" in text
    assert "of 2 updates" in text and "2 pictures each" in text
    assert "batch norm: trained" in text and "(with 1 worker)" in text
    assert "at 2 pictures/s per worker" in text
    assert not (tmp_path / "out").exists()


PAPERS_FORM = {
    "head": "cells",
    "fpn_channels": None,
    "box_features": None,
    "anchor_sizes": [[16, 32, 64, 128]],
}


@pytest.mark.parametrize("detector", [{}, PAPERS_FORM], ids=["fpn", "cells"])
def test_the_plan_counts_parameters_and_multiply_adds(tmp_path, detector):
    data = write_coco(tmp_path / "data")
    words = [f"--set=detector.{name}={json.dumps(value)}" for name, value in detector.items()]
    text = plan_of(data, *words)
    settings = {
        "data": {"source": str(data)},
        "detector": detector,
        "network": {"filters": 8},
        "training": {"batch_size": 2},
    }
    plan = prepare_detection("nasnet_a", recipe="small", out=tmp_path / "out", settings=settings).plan
    cost = detector_complexity(plan, (192, 192))
    assert f"detector: {short_count(cost.total.parameters)} parameters" in text
    assert f"the network has {short_count(cost.backbone.parameters)};" in text
    assert f"{short_count(cost.total.mult_adds)} multiply-adds for a picture of 192 x 192 pixels" in text


@pytest.mark.parametrize(
    ("words", "is_refused"),
    [
        ([], True),
        (["--workers", "2"], True),
        (["--set", "workers.gpus=0", "--address", "10.0.0.1:6379"], True),
        (["--set", "workers.gpus=1"], False),
        (["--address", "10.0.0.1:6379"], False),
    ],
)
def test_synchronised_norms_are_refused_where_there_will_be_no_gpus(tmp_path, monkeypatch, words, is_refused):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    data = write_coco(tmp_path / "data")
    words = ["--set", "detector.norm=synchronised", *words]
    if not is_refused:
        assert "batch norm: " in plan_of(data, *words)
        return
    text = refused(data, *words)
    assert "detector.norm = synchronised works only on GPUs" in text
    assert "Set it to auto, frozen or trained" in text and "workers.gpus=1" in text
    code, text = call("nasnet_a", "--data", str(data), *SMALL, "--out", "out", *words)
    assert code == 2 and "detector.norm = synchronised works only on GPUs" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--recipe", "coc"], ["'coc'", "Did you mean 'coco'", "coco_mobile, coco_paper, small"]),
        (["--set", "detector.side=3"], ["detector.side is not an option", "Did you mean 'sides'"]),
        (["--set", "detector.sides=[16]"], ["detector.sides", "32"]),
        (["--set", "detector.maps=[4,16]"], ["detector", "twice"]),
        (["--set", "detector.head=cells"], ["no fpn_channels and no box_features", "set to null"]),
        (["--set", "detector.maps=[64]"], ["detector.maps = [64]", "2, 4, 8, 16, 32"]),
        (["--set", "detector.norm=synced"], ["detector.norm"]),
        (["--set", "detector.frozen_stride=4"], ["detector.frozen_stride = 4", "random"]),
        (["--set", "detector.anchor_sizes=[[16]]"], ["detector.anchor_sizes", "4 maps"]),
        (["--set", "network.stem=small_image"], ["strides 1, 2, 4", "network.stem=imagenet"]),
        (["--set", "training.sync_norm=true"], ["detector.norm=synchronised"]),
        (["--set", "training.batch_size=5"], ["--batch-size 5", "4 training pictures"]),
        (["--set", "training.schedule.warmup_epochs=100"], ["warmup_epochs"]),
        (["--set", "training.label_smoothing=0.1"], ["training.label_smoothing"]),
        (["--set", "data.image_size=3"], ["data.image_size"]),
        (["--set", "data=7"], ["data"]),
        (["--set", "weights=7"], ["7"]),
        (["--weights", "nowhere.pt"], ["nowhere.pt"]),
        (["--weights", "."], ["no weights"]),
        (["--epochs", "0"], ["--epochs 0"]),
        (["--workers", "0"], ["--workers"]),
        (["--resume"], ["--out"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0].startswith("--") else "",
)
def test_a_setting_that_can_not_be_used_is_named(tmp_path, words, named):
    text = refused(write_coco(tmp_path / "data"), *words)
    assert [word for word in named if word not in text] == [], text


def test_a_cell_that_is_not_there_is_named(tmp_path):
    data = write_coco(tmp_path / "data")
    code, text = call("nasnet_q", "--data", str(data), "--dry-run")
    assert code == 2 and "'nasnet_q'" in text and "nasnet_a" in text


def test_without_data_nothing_starts():
    code, text = call("nasnet_a", "--dry-run")
    assert code == 2 and "No pictures are given" in text and "--data" in text


@pytest.mark.parametrize("source", ["nowhere", "file.txt", "s3://bucket", "digits"])
def test_data_that_are_no_pictures_with_boxes_are_named(tmp_path, monkeypatch, source):
    # Nobody waits for the credentials of a machine in Amazon's cloud.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "file.txt").write_text("x")
    code, text = call("nasnet_a", "--data", source, *SMALL, "--dry-run")
    assert code == 2 and source in text, text
