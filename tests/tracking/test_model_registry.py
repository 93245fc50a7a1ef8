"""What a final training leaves in MLflow's model registry, and that anybody can load it from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image

from raynas.models.folder import load_model
from raynas.tracking.training_tracker import TrainingTracker
from tests.nn.small_networks import TINY
from tests.tracking.trained_models import NAME, models, open_tracker, trained, write_model

FILES = {"MLmodel", "model.json", "model.safetensors", "model.safetensors.md", "model.safetensors.svg"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return models(tmp_path_factory.mktemp("training"))


@pytest.fixture
def client(store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A user's client, whose environment names the store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    return MlflowClient()


@pytest.fixture(scope="module")
def trained_once(
    empty_store: Path, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainingTracker]:
    store = Path(shutil.copy(empty_store, tmp_path_factory.mktemp("registry") / "mlflow.db"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return store, trained(store, folders)


@pytest.fixture
def tracker(trained_once: tuple[Path, TrainingTracker], monkeypatch: pytest.MonkeyPatch) -> TrainingTracker:
    """A training that is over, with its two networks registered; shared by tests that change nothing.

    The environment names its store.
    """
    store, tracker = trained_once
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    return tracker


def versions(client: MlflowClient, name: str = NAME) -> list[Any]:
    return sorted(client.search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))


def aliases(client: MlflowClient) -> dict[str, int]:
    found = client.get_registered_model(NAME).aliases
    return {alias: int(version) for alias, version in found.items()}


def the_run(client: MlflowClient) -> Any:
    (run,) = client.search_runs([client.get_experiment_by_name("nas").experiment_id])
    return run


def logged_models(client: MlflowClient) -> list[Any]:
    found = client.search_logged_models([client.get_experiment_by_name("nas").experiment_id])
    return sorted(found, key=lambda model: model.name)


def pictures(num_images: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_images, 12, 9, 3), dtype=np.uint8)


def test_last_and_best_are_versions_with_an_alias_and_tags(tracker, folders):
    client = MlflowClient()
    assert tracker.registered.name == NAME
    assert tracker.registered.versions == {"best": 1, "last": 2}
    best, last = (client.get_model_version_by_alias(NAME, alias) for alias in ("best", "last"))
    assert (int(best.version), int(last.version)) == (1, 2)
    assert best.tags == {
        "epoch": "2",
        "top1": "0.2",
        "top5": "0.5",
        "recipe": "cifar_final",
        "data": "https://host/images",
        "arch_id": TINY.arch_id,
        "parameters": str(load_model(folders["best"]).info.spec.complexity().parameters),
    }
    assert (last.tags["epoch"], last.tags["top1"]) == ("3", "0.15")
    assert best.description == (
        "Trained on https://host/images by recipe cifar_final: epoch 2, top-1 0.2000."
    )


def test_one_version_has_both_aliases_if_the_last_epoch_is_the_best(store, client, tmp_path):
    registered = trained(store, models(tmp_path, best=2, last=2)).registered
    assert str(registered) == f"{NAME}, version 1 (best, last)"
    (version,) = versions(client)
    assert aliases(client) == {"best": 1, "last": 1}
    assert version.tags["epoch"] == "2"


def test_the_run_shows_both_networks_and_their_versions(tracker):
    client = MlflowClient()
    run = the_run(client)
    assert run.info.status == "FINISHED"
    assert [version.run_id for version in versions(client)] == [tracker.mlflow_run_id] * 2
    second, third = logged_models(client)
    assert (second.name, third.name) == (f"{TINY.arch_id}-epoch-2", f"{TINY.arch_id}-epoch-3")
    assert {output.model_id: output.step for output in run.outputs.model_outputs} == {
        second.model_id: 2,
        third.model_id: 3,
    }
    links = [json.loads(model.tags["mlflow.modelVersions"]) for model in (second, third)]
    assert links == [[{"name": NAME, "version": 1}], [{"name": NAME, "version": 2}]]


def test_a_network_has_the_scores_of_its_epoch_and_the_run_has_them_once(tracker):
    client = MlflowClient()
    scores = [{metric.key: metric.value for metric in model.metrics} for model in logged_models(client)]
    assert scores == [{"top1": 0.2, "top5": 0.5}, {"top1": 0.15, "top5": 0.5}]
    history = client.get_metric_history(the_run(client).info.run_id, "top1")
    assert [(point.step, point.value) for point in history] == [(1, 0.1), (2, 0.2), (3, 0.15)]


@torch.no_grad()
@pytest.mark.parametrize("alias", ["best", "last"])
def test_mlflow_loads_it_and_gives_probabilities_of_pictures_of_any_size(tracker, folders, alias):
    given_NK = mlflow.pyfunc.load_model(f"models:/{NAME}@{alias}").predict(pictures())
    network, info = (model := load_model(folders[alias])).network, model.info
    images = [info.preprocessing(Image.fromarray(picture)) for picture in pictures()]
    expected_NK = network(torch.stack(images)).softmax(dim=1).numpy()
    assert given_NK.dtype == np.float32
    np.testing.assert_allclose(given_NK, expected_NK, atol=1e-6)


def test_mlflow_refuses_what_are_no_pixels(tracker):
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@best")
    with pytest.raises(MlflowException, match="uint8"):
        model.predict(pictures().astype(np.float32))


def test_its_files_are_a_model_folder_a_card_and_a_picture_and_nothing_else(tracker, folders, tmp_path):
    copy = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}@best", dst_path=tmp_path / "copy"))
    # MLflow itself notes what it downloaded.
    assert {path.name for path in copy.rglob("*")} - {"registered_model_meta"} == FILES
    copied, original = load_model(copy), load_model(folders["best"])
    assert copied.info == original.info
    weights = original.network.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in copied.network.state_dict().items())
    assert "model.safetensors.svg" in (copy / "model.safetensors.md").read_text()
    assert "raynas.models.classifier" in (copy / "MLmodel").read_text()


def test_nothing_is_printed(store, folders, capfd):
    trained(store, folders)
    assert capfd.readouterr() == ("", "")


def test_a_finished_training_that_is_resumed_registers_nothing_again(store, client, folders):
    first, outputs = trained(store, folders).registered, the_run(client).outputs.model_outputs
    assert trained(store, folders).registered == first
    assert len(versions(client)) == len(logged_models(client)) == 2
    assert the_run(client).outputs.model_outputs == outputs


def test_under_another_name_the_same_networks_get_versions_there(store, client, folders):
    trained(store, folders)
    again = trained(store, folders, name="mine").registered
    assert (again.name, again.versions) == ("mine", {"best": 1, "last": 2})
    assert len(logged_models(client)) == 2
    (link, other) = json.loads(logged_models(client)[0].tags["mlflow.modelVersions"])
    assert (link["name"], other["name"]) == (NAME, "mine")


def test_aliases_go_to_the_newest_training_and_stay_there(store, client, folders, tmp_path):
    trained(store, folders)
    trained(store, models(tmp_path / "other"), run_id="t2")
    trained(store, folders)
    assert aliases(client) == {"best": 3, "last": 4}
    assert len(versions(client)) == 4


STEPS = [
    "create_registered_model",
    "create_logged_model",
    "log_model_artifact",
    "log_model_artifacts",
    "log_outputs",
    "finalize_logged_model",
    "create_model_version",
    "set_logged_model_tags",
    "set_registered_model_alias",
]


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True], ids=["refused", "done"])
@pytest.mark.parametrize("method", STEPS)
def test_a_request_that_fails_is_made_again_and_nothing_twice(
    store, client, folders, monkeypatch, caplog, method, is_done
):
    original, failures = getattr(MlflowClient, method), iter(range(2))

    def fails(*args: Any, **kwargs: Any) -> Any:
        fails_now = next(failures, None) is not None
        result = original(*args, **kwargs) if is_done or not fails_now else None
        if fails_now:
            raise MlflowException("API request failed")
        return result

    monkeypatch.setattr(MlflowClient, method, fails)
    assert trained(store, folders).registered.versions == {"best": 1, "last": 2}
    assert [model.status for model in logged_models(client)] == ["READY", "READY"]
    assert len(the_run(client).outputs.model_outputs) == len(versions(client)) == 2
    assert aliases(client) == {"best": 1, "last": 2}
    assert [record for record in caplog.records if record.name == "raynas.tracking"] == []


def test_a_server_that_dies_costs_the_training_one_warning_that_says_where_its_network_is(
    store, tmp_path, monkeypatch, caplog
):
    folder, tracker = write_model(tmp_path / "model", epoch=3), open_tracker(store)

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise MlflowException("API request to http://me:secret@host/api failed")

    for method in ("log_batch", "create_registered_model", "set_terminated"):
        monkeypatch.setattr(MlflowClient, method, fails)
    tracker.register(NAME, {"last": folder})
    tracker.close("FINISHED", timeout=0.2)
    assert tracker.registered is None
    (warning,) = [record for record in caplog.records if record.name == "raynas.tracking"]
    message = warning.getMessage()
    assert "The model was not registered" in message
    assert "http://host/api failed" in message
    assert str(folder) in message
    assert "secret" not in message


def test_what_an_outage_kept_from_the_registry_is_registered_by_a_resume(store, client, folders, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", lambda *_, **__: 1 / 0)
        assert trained(store, folders).registered is None
    assert versions(client) == []
    assert trained(store, folders).registered.versions == {"best": 1, "last": 2}
    assert len(logged_models(client)) == 2
