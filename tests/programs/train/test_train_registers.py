"""`raynas train` from its cell to MLflow's registry; one process trains in place of Ray's workers."""

from __future__ import annotations

import shutil
import types
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

import raynas
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.train import result_lines, run_train
from raynas.cli.terminal.train_plan import Pace
from raynas.config import merged
from raynas.errors import InvalidConfig
from raynas.models.folder import load_model
from raynas.programs.train.execute import TrainResult
from raynas.programs.train.models import registered_name
from raynas.programs.train.prepare import prepare_training
from raynas.programs.train.train import train_prepared
from raynas.run.events import Origin
from raynas.training.final_config import ClassifierSummary
from tests.nn.small_networks import TINY
from tests.programs.in_process import without_ray

pytestmark = pytest.mark.slow

SETTINGS = {
    "network": {"cells_per_stack": 1, "filters": 4},
    "data": {"validation_images": 1500},
    "training": {"epochs": 3, "precision": "float32"},
}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; no Ray is started, and the second epoch is taken for the best."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    without_ray(monkeypatch, best=2)
    return tmp_path


@pytest.fixture
def store(folder: Path, empty_store: Path) -> Path:
    """Where MLflow is written if nothing else is said; its tables are there."""
    Path("runs").mkdir()
    return Path(shutil.copy(empty_store, "runs/mlflow.db"))


def trained(**words: Any) -> TrainResult[ClassifierSummary]:
    words = {"cell": "tiny", "out": Path("runs/final"), "settings": SETTINGS, **words}
    return train_prepared(prepare_training(TINY, **{"recipe": "cifar_final", **words}))


def client() -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{Path('runs/mlflow.db').absolute()}")


def test_the_last_and_the_best_network_are_kept_and_registered(store):
    result = trained(origin=Origin(run_id="r", folder="runs/search", child=7))
    assert (result.model, result.best) == (Path("runs/final/model"), Path("runs/final/best"))
    for place, epoch in ((result.model, 3), (result.best, 2)):
        words, summary = load_model(place).info.training, result.summaries[epoch - 1]
        assert (words["epochs"], words["planned_epochs"]) == (epoch, 3)
        assert (words["top1"], words["top5"]) == (summary.top1, summary.top5)
    name = f"raynas-{TINY.arch_id}"
    assert (result.registered.name, result.registered.versions) == (name, {"best": 1, "last": 2})
    best = client().get_model_version_by_alias(name, "best")
    assert best.tags["top1"] == str(result.summaries[1].top1)
    run = client().get_run(str(best.run_id))
    assert (run.data.tags["raynas.trained_from"], run.data.tags["raynas.child"]) == ("r", "7")
    assert run.data.tags["raynas.arch_id"] == TINY.arch_id
    assert run.data.metrics["seconds_left"] == 0.0
    assert run.data.metrics["images_per_second"] > 0.0
    assert result_lines(result)[1:3] == [
        "Trained network: runs/final/model, best epoch: runs/final/best",
        f"Registered in MLflow: {name}, version 1 (best), version 2 (last)",
    ]


def test_what_mlflow_loads_has_the_accuracy_that_was_measured(store, monkeypatch):
    training = prepare_training(TINY, cell="tiny", out=Path("runs/final"), settings=SETTINGS)
    result, data = train_prepared(training), training.data
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('runs/mlflow.db').absolute()}")
    model = mlflow.pyfunc.load_model(f"models:/{result.registered.name}@best")
    guesses_N = model.predict(data.validation_images_NHWC).argmax(1)
    assert np.mean(guesses_N == data.validation_labels_N) == pytest.approx(result.summaries[1].top1)


def test_a_resume_registers_nothing_again_and_keeps_the_origin(store, monkeypatch):
    # Ray alone writes checkpoints.
    monkeypatch.setattr("raynas.programs.train.folder.has_checkpoint", lambda _: True)
    origin = Origin(run_id="r", folder="runs/search", child=7)
    first = trained(origin=origin)
    resumed = prepare_training(None, cell="", out=first.folder, resume=True)
    assert resumed.config.origin == origin
    assert train_prepared(resumed).registered == first.registered
    assert len(client().search_model_versions()) == 2


def test_d10_mlflow_and_the_model_folder_say_from_which_weights_a_training_began(store):
    first = trained()
    settings = merged(SETTINGS, {"weights": str(first.model), "network": {"auxiliary_head": False}})
    tuned = trained(out=Path("runs/tuned"), settings=settings)
    assert tuned.summaries[0].train_loss < first.summaries[0].train_loss
    run = client().get_run(str(client().get_model_version_by_alias(tuned.registered.name, "last").run_id))
    recorded = load_model(tuned.model).info.training
    assert run.data.params["weights.source"] == str(first.model)
    assert run.data.params["weights.digest"] == recorded["weights_digest"]
    assert run.data.params["weights.new"] == "[]"
    assert "the auxiliary head is left out" in run.data.params["weights.notes"]
    assert (recorded["weights"], recorded["weights_new"]) == ("model", [])
    assert "weights" not in load_model(first.model).info.training


def test_without_mlflow_the_networks_are_kept_all_the_same(folder):
    Path("cell.json").write_text(TINY.to_json())
    settings = SETTINGS | {"tracking": {"enabled": False}}
    result = raynas.train_final("cell.json", data="digits", out="runs/final", settings=settings)
    assert result.registered is None
    assert load_model(result.best).info.training["epochs"] == 2
    assert not any("registry" in line for line in result_lines(result))
    assert not Path("runs/mlflow.db").exists()


def test_norms_over_all_workers_need_gpus(folder, monkeypatch):
    two_on_cpus = types.SimpleNamespace(num_workers=2, gpus=0.0)
    monkeypatch.setattr("raynas.programs.train.execute.plan_training", lambda *_: two_on_cpus)
    with pytest.raises(InvalidConfig, match=r"sync_norm = true works only on GPUs"):
        trained(settings=merged(SETTINGS, {"training": {"sync_norm": True}}))
    assert not Path("runs/final").exists()


def test_the_name_is_the_published_cells_or_the_users(folder):
    words: dict[str, Any] = {"out": Path("out"), "settings": SETTINGS}
    published = prepare_training(TINY, cell="nasnet_a", **words)
    assert registered_name(published.config) == "raynas-nasnet_a"
    words["settings"] = SETTINGS | {"tracking": {"registered_model": "mine"}}
    assert registered_name(prepare_training(TINY, cell="nasnet_a", **words).config) == "mine"


def test_the_command_prints_the_versions(store, capsys):
    Path("cell.json").write_text(TINY.to_json())
    words: dict[str, Any] = {"recipe": "cifar_final", "settings": SETTINGS, "out": None, "address": None}
    console = output_console()
    run_train("cell.json", **words, hours=None, resume=False, is_dry=False, pace=Pace(), console=console)
    assert f"raynas-{TINY.arch_id}, version 1 (best), version 2 (last)" in capsys.readouterr().out
