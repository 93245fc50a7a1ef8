"""What a final training looks like in MLflow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from PIL import Image

from raynas.errors import UsageError
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import TINY
from tests.tracking.trained_models import open_tracker


def the_run(store: Path) -> Any:
    client = MlflowClient(f"sqlite:///{store}")
    runs = client.search_runs([client.get_experiment_by_name("nas").experiment_id])
    assert len(runs) == 1
    return client, runs[0]


@pytest.fixture
def finished(store: Path) -> Path:
    """Three epochs, over two drivers, the second of which hears of the second epoch again."""
    first = open_tracker(store)
    first.epoch_done(1, {"top1": 0.5})
    first.epoch_done(2, {"top1": 0.6})
    first.close("KILLED")
    second = open_tracker(store)
    second.epoch_done(2, {"top1": 0.9})
    second.epoch_done(3, {"top1": 0.7})
    second.model_written("{}", NASNET_A)
    second.close("FINISHED")
    return store


def test_it_is_one_run_with_its_settings(finished):
    _, run = the_run(finished)
    assert run.info.status == "FINISHED"
    assert run.data.tags["raynas.kind"] == "training"
    assert run.data.tags["raynas.arch_id"] == TINY.arch_id
    assert run.data.params["training.epochs"] == "3"
    assert "genotype" not in run.data.params


def test_each_epoch_is_on_the_curve_once(finished):
    client, run = the_run(finished)
    history = client.get_metric_history(run.info.run_id, "top1")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.6), (3, 0.7)]


def test_the_models_description_and_picture_are_kept(finished):
    client, run = the_run(finished)
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"model.json", "cell.svg"}


def test_a_store_that_can_not_be_used_is_named(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    with pytest.raises(UsageError, match="MLflow can't be used at nonsense://nowhere"):
        open_tracker(store)


def test_the_images_of_an_epoch_are_shown_once(store, tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(stream, "PNG")
    for _ in range(2):
        tracker = open_tracker(store)
        tracker.epoch_done(1, {"top1": 0.5}, images={"validation-1": stream.getvalue()})
        tracker.close("FINISHED")
    client, run = the_run(store)
    names = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
    shown = [name for name in names if name.endswith(".png")]
    assert len(shown) == 1 and shown[0].startswith("images/validation-1+step+1+")
    local = client.download_artifacts(run.info.run_id, shown[0], str(tmp_path))
    with Image.open(local) as image:
        assert image.size == (30, 20) and image.getpixel((0, 0)) == (255, 0, 0)


LONG = "ap/" + "x" * 300
NAMES = ["ap/cat/dog", "ap/", "ap//", "ap/..", "ap/a/../b", "ap/.", "ap/a?", "ap/a!", "ap/a\nb", LONG]
NAMES += [f"{LONG}y", "ap/Stra\u00dfe", "ap/traffic light", "ap/-"]


def test_curves_of_classes_with_any_names_are_written(store, caplog):
    tracker = open_tracker(store)
    tracker.epoch_done(1, {name: number / 100 for number, name in enumerate(NAMES)})
    tracker.close("FINISHED")
    _, run = the_run(store)
    found = {key: value for key, value in run.data.metrics.items() if key.startswith("ap/")}
    assert sorted(found.values()) == [number / 100 for number in range(len(NAMES))]
    assert found["ap/traffic light"] == 0.12 and found["ap/cat/dog"] == 0.0
    assert [record for record in caplog.records if record.name == "raynas.tracking"] == []


def test_more_classes_than_mlflow_takes_at_a_time_are_written(store, caplog):
    tracker = open_tracker(store)
    tracker.epoch_done(1, {f"ap/{number}": 0.5 for number in range(2500)})
    tracker.close("FINISHED")
    _, run = the_run(store)
    assert len([key for key in run.data.metrics if key.startswith("ap/")]) == 2500
    assert [record for record in caplog.records if record.name == "raynas.tracking"] == []
