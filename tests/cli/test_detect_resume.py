"""`raynas detect --resume`: what goes on, and what a resumed training can not change."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from tests.cli.detect_calls import call, refused
from tests.detection.coco_sets import write_coco
from tests.detection.rectangles import prepared

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def begun(tmp_path):
    """The folder of a detector's training that has written its config and nothing else."""
    from raynas.programs.train.folder import write_config

    data = write_coco(tmp_path / "data")
    plan = prepared(data, tmp_path / "begun", training={"batch_size": 2})
    write_config(plan.folder, plan.config)
    return plan.folder


def test_a_detector_goes_on_with_its_own_command_alone(begun):
    result = CliRunner().invoke(app, ["train", "--resume", "--out", str(begun)])
    assert result.exit_code == 2 and "raynas detect" in " ".join(result.output.split()), result.output
    code, text = call("--resume", "--out", str(begun), "--dry-run")
    assert code == 0 and "raynas detect: nasnet_a" in text, text


def test_a_classifier_is_not_resumed_as_a_detector(tmp_path):
    from raynas.programs.train.folder import write_config
    from raynas.programs.train.prepare import prepare_named_training

    plan = prepare_named_training("nasnet_a", out=tmp_path / "classifier")
    write_config(plan.folder, plan.config)
    code, text = call("--resume", "--out", str(plan.folder), "--dry-run")
    assert code == 2 and "raynas train" in text, text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--data", "other"], ["--data", "other"]),
        (["pnasnet5"], ["nasnet_a", "architecture"]),
        (["--recipe", "coco"], ["small", "coco"]),
        (["--batch-size", "1"], ["--batch-size 2", "not 1"]),
        (["--set", "detector.sides=[64]"], ["detector.sides"]),
        (["--weights", "x.pt"], ["random weights", "x.pt"]),
        (["--epochs", "1"], ["--epochs"]),
    ],
)
def test_what_a_resumed_training_can_not_change_is_named(begun, tmp_path, words, named):
    write_coco(tmp_path / "other")
    code, text = call(*words, "--resume", "--out", str(begun), "--dry-run")
    assert code == 2, text
    assert [word for word in named if word not in text] == [], text


def test_nothing_is_started_where_a_training_is(begun, tmp_path):
    text = refused(tmp_path / "data", "--out", str(begun))
    assert "already holds a training" in text
