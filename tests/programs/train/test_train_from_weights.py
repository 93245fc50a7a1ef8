"""A final training that begins from weights: what is read, recorded, handed to workers, and refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from raynas.cli.terminal.train_plan import plan_lines
from raynas.engine.final_checkpoints import CHECKPOINT_LIST_FILE
from raynas.errors import InvalidConfig, RunFolderError, WeightsError
from raynas.files import CHECKPOINTS_FOLDER, STATE_FILE, TRAINING_FILE
from raynas.models.folder import ModelInfo, save_model
from raynas.nn import Network, NetworkConfig, NetworkSpec
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.folder import write_config
from raynas.programs.train.prepare import PreparedTraining, prepare_named_training, prepare_training
from raynas.programs.train.recipes import train_config
from raynas.programs.train.train import train_final
from raynas.programs.train.worker import WorkerInput, build_training
from raynas.training.device import Placement
from tests.nn.small_networks import TINY

NETWORK = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)
DIGITS = tuple("0123456789")
SETTINGS = {
    "network": {"cells_per_stack": 1, "filters": 4},
    "training": {"epochs": 1, "precision": "float32"},
    "tracking": {"enabled": False},
}


def trained(num_classes: int = 10, in_channels: int = 1) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return NetworkSpec(TINY, NETWORK, in_channels, num_classes, 8).build()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights without an auxiliary head and without names of classes."""
    torch.save({"model": trained().state_dict()}, tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model folder of a colour network with classes of its own."""
    network = trained(3, in_channels=3)
    info = ModelInfo.of(network, mean=(0.5,) * 3, std=(0.5,) * 3, classes=("cat", "dog", "owl"))
    save_model(tmp_path / "model", network, info)
    return tmp_path / "model"


def prepared(folder: Path, weights: Any, **settings: Any) -> PreparedTraining:
    return prepare_training(
        TINY,
        cell="tiny",
        recipe="cifar_final",
        out=folder / "training",
        settings=SETTINGS | {"weights": weights} | settings,
    )


def begun(training: PreparedTraining) -> dict[str, torch.Tensor]:
    """The weights with which a worker begins."""
    given = WorkerInput(training.data, training.initial)
    built = build_training(Placement(), given, folder=training.folder, config=training.config)
    return dict(built.network.state_dict())


def test_d10_a_worker_begins_from_the_weights_and_what_is_new_follows_from_the_seed(tmp_path, file):
    training = prepared(tmp_path, file)
    state, expected = begun(training), trained().state_dict()
    assert [key for key in expected if not torch.equal(state[key], expected[key])] == []
    random = begun(dataclasses.replace(training, initial=None))
    new = state.keys() - expected.keys()
    assert new and all(key.startswith("auxiliary.") for key in new)
    assert all(torch.equal(state[key], random[key]) for key in new)
    again = begun(training)
    assert all(torch.equal(state[key], again[key]) for key in state)


def test_d10_plan_and_record_say_from_what_it_begins_and_what_is_new(tmp_path, model):
    training = prepared(tmp_path, model)
    (line,) = (line for line in plan_lines(training) if line.startswith("weights:"))
    recorded = training.config.weights
    assert recorded is not None and len(recorded.digest) == 16
    assert f"from {model} (digest {recorded.digest})" in line
    assert "3 channels are summed to one" in line
    assert line.endswith(
        "new: classifier (theirs has 3 classes, here are 10), auxiliary head (the weights have none)"
    )
    write_config(training.folder, training.config)
    text = (training.folder / TRAINING_FILE).read_text()
    assert TrainConfig.model_validate_json(text).weights == recorded


def test_d10_a_training_without_weights_is_recorded_as_before(tmp_path):
    training = prepare_training(TINY, cell="tiny", out=tmp_path / "training", settings=SETTINGS)
    assert training.config.weights is None and training.initial is None
    assert not any(line.startswith("weights:") for line in plan_lines(training))


def test_d10_without_a_cell_the_network_of_the_weights_is_trained(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"weights": "model/"}
    training = prepare_named_training(None, recipe="cifar_final", out=tmp_path / "out", settings=given)
    assert training.config.genotype == TINY
    assert training.config.network == NETWORK.model_copy(update={"drop_path": 0.4, "auxiliary_head": True})
    tuned = prepare_named_training(None, recipe="finetune", out=tmp_path / "b", settings={"weights": "model"})
    assert tuned.config.network.drop_path == 0 and not tuned.config.network.auxiliary_head
    assert tuned.config.network.filters == NETWORK.filters
    assert training.config.weights is not None and training.config.weights.source == "model"
    smaller = {"weights": "model", "network": {"filters": 6}}
    with pytest.raises(WeightsError, match=r"leave the cell out and set no network\.\*"):
        prepare_named_training(None, out=tmp_path / "out", settings=smaller)
    with pytest.raises(WeightsError, match="of architecture"):
        prepare_named_training("nasnet_a", out=tmp_path / "out", settings={"weights": "model"})


def test_d10_the_classes_of_a_model_folder_are_compared_with_the_datas(tmp_path):
    network = trained()
    for name, classes in (("turned", DIGITS[::-1]), ("other", tuple("abcdefghij"))):
        info = ModelInfo.of(network, mean=(0.5,), std=(0.5,), classes=classes)
        save_model(tmp_path / name, network, info)
    state = begun(prepared(tmp_path, tmp_path / "turned"))
    assert torch.equal(state["classifier.weight"], network.classifier.weight.flip(0))
    weights = prepared(tmp_path, tmp_path / "other").config.weights
    assert weights is not None and "classes have other names" in weights.new[0]


def resumed(folder: Path, **settings: Any) -> PreparedTraining:
    return prepare_training(None, cell="", out=folder / "training", resume=True, settings=settings)


def write_checkpoint(folder: Path) -> None:
    checkpoints = folder / "training" / CHECKPOINTS_FOLDER
    (checkpoints / "checkpoint_1").mkdir(parents=True)
    (checkpoints / "checkpoint_1" / STATE_FILE).touch()
    (checkpoints / CHECKPOINT_LIST_FILE).write_text(
        '{"checkpoint_results": [{"checkpoint_dir_name": "checkpoint_1", "metrics": {}}]}'
    )


def test_d10_a_resume_needs_no_weights_and_refuses_others(tmp_path, file):
    training = prepared(tmp_path, file)
    write_config(training.folder, training.config)
    for settings in ({}, {"weights": {"source": str(file)}}, {"weights": str(file)}):
        # Without a checkpoint it begins again, from the same weights.
        again = resumed(tmp_path, **settings)
        assert again.config == training.config and again.initial is not None
    for weights in ({"source": "other.pt"}, None):
        with pytest.raises(RunFolderError, match=r"began from .*w\.pt, not from (other\.pt|random weights)"):
            resumed(tmp_path, weights=weights)
    torch.save(trained(3).state_dict(), file)
    with pytest.raises(WeightsError, match="holds other weights"):
        resumed(tmp_path)
    write_checkpoint(tmp_path)
    file.unlink()
    from_checkpoint = resumed(tmp_path)
    assert from_checkpoint.config == training.config and from_checkpoint.initial is None
    assert any(line.startswith("weights: from") for line in plan_lines(from_checkpoint, is_resumed=True))


def test_d10_a_training_from_random_weights_can_not_be_resumed_from_others(tmp_path, file):
    training = prepare_training(TINY, cell="tiny", out=tmp_path / "training", settings=SETTINGS)
    write_config(training.folder, training.config)
    with pytest.raises(RunFolderError, match="began from random weights, not from"):
        resumed(tmp_path, weights={"source": str(file)})


def test_d10_weights_are_checked_before_anything_is_started_or_written(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = trained().state_dict()
    state["classifier.bias"][0] = torch.nan
    torch.save(state, "nan.pt")
    out = tmp_path / "out"
    for weights, message in [
        ("nan.pt", "not finite"),
        ("nowhere.pt", r"There are no weights at nowhere\.pt"),
        ("timm:tf_in1k", "timm has no weights for nasnet_a,"),
        (".", "holds 2 files of weights"),
    ]:
        with pytest.raises(WeightsError, match=message):
            train_final("nasnet_a", weights=weights, out=out, settings=SETTINGS)
    with pytest.raises(InvalidConfig, match=r"weights\.source = ''"):
        train_final("nasnet_a", weights="", out=out)
    with pytest.raises(WeightsError, match=r"holds other weights \(digest"):
        prepared(tmp_path, {"source": "w.pt", "digest": "0" * 16})
    assert not out.exists()


@pytest.mark.parametrize(("name", "is_streamed"), [("nasnet_a_mobile", True), ("nasnet_a", False)])
def test_d10_the_fine_tuning_recipe_takes_the_published_network_and_a_small_learning_rate(name, is_streamed):
    config = train_config("finetune", {"cell": name, "genotype": TINY.to_dict(), "data": {"source": "x"}})
    assert config.data.streamed == is_streamed
    assert config.network.stem == ("imagenet" if is_streamed else "small_image")
    assert config.training.optimizer.learning_rate == 0.01
    assert config.network.conventions.norm_momentum == 0.1
