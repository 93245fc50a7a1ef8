"""`raynas detect`: which folders give cells, network and weights."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from raynas.models.folder import ModelInfo, save_model
from raynas.programs.detect.prepare import prepare_detection
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.folder import training_of_weights, write_config
from raynas.run.events import Origin
from tests.cli.detect_calls import SMALL, call, plan_of
from tests.detection.coco_sets import CLASSES, write_coco
from tests.detection.small_detectors import small_spec

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def classifier(tmp_path):
    """The folder of a classifier's training, as far as detection reads it."""
    network = small_spec().build()
    info = ModelInfo.of(network, mean=(0.4,) * 3, std=(0.5,) * 3, training={"cell": "mine"})
    save_model(tmp_path / "training" / "model", network, info)
    return tmp_path / "training"


def test_a_training_gives_cells_network_and_weights(tmp_path, classifier):
    data = write_coco(tmp_path / "data")
    for words in (
        [str(classifier)],
        [str(classifier / "model")],
        ["--weights", str(classifier)],
        [str(classifier), "--weights", f"{classifier}/"],
        [str(classifier), "--weights", str(classifier / "model" / "model.safetensors")],
    ):
        code, text = call(
            *words, "--data", str(data), "--recipe", "coco_mobile", "--batch-size", "2", "--dry-run"
        )
        assert code == 0, text
        assert "raynas detect: mine" in text
        assert "weights: " in text and "digest" in text and "random weights" not in text
        assert "batch norm: frozen, as 2 pictures a worker are fewer than 8" in text


def recorded(training, run_id: str) -> Origin:
    """Writes the training's config; where detectors that begin from its weights come from."""
    write_config(training, TrainConfig(cell="mine", genotype=small_spec().genotype, run_id=run_id))
    return Origin(run_id=run_id, folder=str(training))


def test_a_detector_comes_from_the_training_of_its_weights(tmp_path, classifier):
    origin = recorded(classifier, "r1")
    settings = {"data": {"source": str(write_coco(tmp_path / "data"))}, "training": {"batch_size": 2}}
    for what, weights in (("training", None), (None, "training/model"), ("training", "training")):
        given = {**settings, "weights": weights}
        assert prepare_detection(what, out=tmp_path / "out", settings=given).config.origin == origin
    shutil.copytree(classifier / "model", tmp_path / "mine")
    assert prepare_detection("mine", out=tmp_path / "out", settings=settings).config.origin is None


def test_a_checkpoint_is_of_the_training_around_it(tmp_path, classifier):
    origin = recorded(classifier, "r1")
    shutil.rmtree(classifier / "model")
    state = classifier / "checkpoints" / "checkpoint_1" / "state.pt"
    state.parent.mkdir(parents=True)
    torch.save({}, state)
    assert training_of_weights("training") == training_of_weights(str(state)) == origin
    assert training_of_weights("timm:tf_in1k") is None


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_training_whose_record_is_damaged_is_no_origin(classifier, text):
    (classifier / "training.json").write_text(text)
    assert training_of_weights("training") is None


def test_weights_of_another_network_are_refused_with_both(tmp_path, classifier):
    data = write_coco(tmp_path / "data")
    code, text = call("pnasnet5", "--weights", str(classifier), "--data", str(data), *SMALL[:2], "--dry-run")
    assert code == 2 and str(classifier) in text and "architecture" in text, text
    code, text = call(
        str(classifier),
        *SMALL[:2],
        "--set",
        "network.filters=16",
        "--batch-size",
        "2",
        "--data",
        str(data),
        "--dry-run",
    )
    assert code == 2 and "filters" in text, text


def test_a_folder_with_a_published_cells_name_does_not_hide_it(tmp_path, classifier):
    shutil.copytree(classifier, tmp_path / "nasnet_a")
    assert "weights: random weights" in plan_of(write_coco(tmp_path / "data"))


def test_a_detector_is_not_taken_for_a_classifier(tmp_path):
    from raynas.detection.folder import DetectorInfo, save_detector
    from tests.detection.small_detectors import SMALL as DETECTOR

    spec = small_spec()
    info = DetectorInfo(
        genotype=spec.genotype,
        network=spec.config,
        image_size=64,
        detector=DETECTOR,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        classes=tuple(one["name"] for one in CLASSES),
        class_ids=tuple(one["id"] for one in CLASSES),
    )
    save_detector(tmp_path / "detector" / "model", info.build(), info)
    data = write_coco(tmp_path / "data")
    for words in (["detector"], ["detector/model"], ["nasnet_a", "--weights", "detector"]):
        code, text = call(*words, "--data", str(data), *SMALL[:2], "--dry-run")
        assert code == 2 and "detector" in text, text
    assert json.loads((tmp_path / "detector" / "model" / "model.json").read_text())["task"] == "detection"
