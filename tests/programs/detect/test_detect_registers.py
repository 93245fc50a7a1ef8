"""`raynas detect` from its pictures to MLflow's registry; one process trains in place of Ray's workers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image

from raynas.cli.terminal.detect import detection_result
from raynas.config import merged
from raynas.detection.evaluation import NUMBERS
from raynas.detection.folder import load_detector, read_detector_info
from raynas.detection.predictor import COLUMNS
from raynas.detection.summary import DetectionSummary
from raynas.errors import InvalidConfig, UsageError
from raynas.programs.detect.detect import detect_prepared
from raynas.programs.detect.prepare import prepare_detection
from raynas.programs.train.execute import TrainResult
from tests.detection.rectangle_files import SIDE, rectangle_set
from tests.nn.small_networks import TINY
from tests.programs.in_process import without_ray

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "network": {"stem": "imagenet", "cells_per_stack": 1, "filters": 4, "stem_filters": 4},
    "detector": {
        "sides": [SIDE],
        "longest_side": SIDE,
        "fpn_channels": 8,
        "box_features": 16,
        "anchor_sizes": [[16], [32], [64], [96]],
        "proposals": {"kept_train": 30, "kept": 30},
        # So low that even a detector of two updates finds something.
        "boxes": {"batch": 32, "score_threshold": 0.0},
    },
    "training": {"epochs": 2, "batch_size": 2, "precision": "float32"},
    "data": {"source": "pictures", "processes": 0},
}
NAME = f"raynas-detector-{TINY.arch_id}"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder with pictures and a finished training, for tests that change nothing."""
    root = tmp_path_factory.mktemp("detect")
    (root / "runs").mkdir()
    shutil.copy(empty_store, root / "runs/mlflow.db")
    rectangle_set(root / "pictures")
    (root / "cell.json").write_text(TINY.to_json())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        without_ray(patch, best=1)
        (root / "result.txt").write_text("\n".join(detection_result(detected())))
    return root


@pytest.fixture
def folder(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, a copy of that of the finished training."""
    copy = shutil.copytree(once, tmp_path / "copy")
    monkeypatch.chdir(copy)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    without_ray(monkeypatch, best=1)
    return Path(copy)


def detected(**words: Any) -> TrainResult[DetectionSummary]:
    words = {"what": "cell.json", "recipe": "small", "out": Path("runs/final"), "settings": SETTINGS, **words}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return detect_prepared(prepare_detection(words.pop("what"), **words))
    finally:
        torch.set_num_threads(threads)


def resumed(monkeypatch: pytest.MonkeyPatch) -> TrainResult[DetectionSummary]:
    # Ray alone writes checkpoints.
    monkeypatch.setattr("raynas.programs.train.folder.has_checkpoint", lambda _: True)
    return detected(what=None, recipe=None, resume=True, settings={})


def client(root: Path = Path()) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{(root / 'runs/mlflow.db').absolute()}")


def the_run(store: MlflowClient) -> Any:
    return store.get_run(str(store.get_model_version_by_alias(NAME, "last").run_id))


def test_the_last_and_the_best_detector_are_registered(once):
    store = client(once)
    versions = {alias: store.get_model_version_by_alias(NAME, alias) for alias in ("best", "last")}
    assert [version.tags["epoch"] for version in versions.values()] == ["1", "2"]
    info = read_detector_info(once / "runs/final/model")
    tags = versions["last"].tags
    assert tags["ap"] == str(info.training["ap"]) and tags["ap50"] == str(info.training["ap50"])
    assert (tags["recipe"], tags["data"], tags["arch_id"]) == ("small", "pictures", TINY.arch_id)
    weights = load_detector(once / "runs/final/model").detector
    assert tags["parameters"] == str(sum(parameter.numel() for parameter in weights.parameters()))
    assert versions["last"].description.startswith("Trained on pictures by recipe small: epoch 2, AP 0.")
    assert (
        f"Registered in MLflow: {NAME}, version 1 (best), version 2 (last)"
        in (once / "result.txt").read_text().splitlines()
    )


def test_the_page_has_cocos_numbers_and_the_precision_of_each_class(once):
    store = client(once)
    run = the_run(store)
    # No rectangle is large.
    measured = set(NUMBERS) - {"ap_large", "ar_large"}
    assert set(NUMBERS) & set(run.data.metrics) == measured
    for name in (*measured, "ap/cat", "ap/dog", "ap/owl", "train_loss"):
        assert [point.step for point in store.get_metric_history(run.info.run_id, name)] == [1, 2]
    assert run.data.tags["raynas.arch_id"] == TINY.arch_id
    assert "model.json" in [file.path for file in store.list_artifacts(run.info.run_id)]


def test_a_registered_detector_has_the_scores_of_its_epoch(once):
    store = client(once)
    version = store.get_model_version_by_alias(NAME, "best")
    models = store.search_logged_models([the_run(store).info.experiment_id])
    (model,) = [model for model in models if model.name == f"{TINY.arch_id}-epoch-1"]
    assert model.model_type == "object detector"
    scores = {metric.key: metric.value for metric in model.metrics}
    assert scores["ap"] == pytest.approx(float(version.tags["ap"]))
    assert set(scores) <= set(NUMBERS)


def pictures() -> np.ndarray:
    files = sorted(Path("pictures/val2017").iterdir())[:3]
    return np.stack([np.asarray(Image.open(file)) for file in files])


@torch.no_grad()
@pytest.mark.parametrize("alias", ["best", "last"])
def test_mlflow_loads_it_and_gives_a_table_of_what_it_finds(folder, monkeypatch, alias):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('runs/mlflow.db').absolute()}")
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@{alias}")
    table = model.predict(pictures())
    assert list(table.columns) == model.metadata.get_output_schema().input_names() == list(COLUMNS)
    own = load_detector(Path("runs/final", {"best": "best", "last": "model"}[alias])).detector
    for number, image_HWC in enumerate(pictures()):
        (expected,) = own([torch.from_numpy(image_HWC).permute(2, 0, 1) / 255])
        rows = table[table["picture"] == number]
        assert len(rows) > 0
        np.testing.assert_allclose(rows[["x1", "y1", "x2", "y2"]], expected["boxes"], atol=1e-3)
        np.testing.assert_allclose(rows["score"], expected["scores"], atol=1e-6)
        assert rows["label"].tolist() == expected["labels"].tolist()
        names = {1: "cat", 2: "dog", 3: "owl"}
        assert rows["class"].tolist() == [names[label] for label in rows["label"]]


def test_mlflow_refuses_what_are_no_pixels(folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('runs/mlflow.db').absolute()}")
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@last")
    with pytest.raises(MlflowException, match="uint8"):
        model.predict(pictures().astype(np.float32))


def test_a_resume_registers_nothing_again(folder, monkeypatch):
    result = resumed(monkeypatch)
    assert result.registered is not None
    assert (result.registered.name, result.registered.versions) == (NAME, {"best": 1, "last": 2})
    assert len(client().search_model_versions()) == 2


def test_what_an_outage_kept_from_the_registry_is_registered_by_a_resume(folder, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", lambda *_, **__: 1 / 0)
        missed = detected(out=Path("runs/second"))
    # The first warning is that the store was copied.
    assert missed.registered is None and load_detector(missed.model).info.training["epochs"] == 2
    (_, warning) = [record.getMessage() for record in caplog.records if record.name == "raynas.tracking"]
    assert "The model was not registered" in warning and "runs/second/model" in warning
    monkeypatch.setattr("raynas.programs.train.folder.has_checkpoint", lambda _: True)
    again = detected(what=None, recipe=None, out=Path("runs/second"), resume=True, settings={})
    assert again.registered is not None and again.registered.versions == {"best": 3, "last": 4}


def test_synchronised_norms_need_workers_with_gpus(folder):
    settings = merged(SETTINGS, {"detector": {"norm": "synchronised"}})
    with pytest.raises(InvalidConfig, match=r"detector\.norm = synchronised works only on GPUs"):
        detected(out=Path("runs/new"), settings=settings)
    assert not Path("runs/new").exists()


def test_a_detectors_folder_gives_no_weights_to_begin_from(folder):
    with pytest.raises(UsageError, match="describes a detector, not an image classifier"):
        prepare_detection("runs/final", out=Path("runs/new"), settings={"data": SETTINGS["data"]})
