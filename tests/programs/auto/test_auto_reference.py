"""A network that is no cell passes through the same training as a cell's, and continues."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch

from raynas.data import ImageSplit
from raynas.errors import InvalidConfig, RunFolderError
from raynas.files import JOURNAL_FILE, TRAINING_FILE, parse_json
from raynas.programs.train.prepare import prepare_training
from raynas.programs.train.reference import (
    PreparedReference,
    ReferenceInfo,
    prepare_reference,
    train_reference,
)
from tests.nn.small_networks import TINY
from tests.programs.in_process import without_ray

SETTINGS = {
    "data": {"train_images": 32, "validation_images": 16},
    "network": {"cells_per_stack": 1, "filters": 4},
    "training": {"epochs": 1, "batch_size": 16},
    "tracking": {"enabled": False},
    "seed": 3,
}


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedReference:
    like = prepare_training(TINY, cell="tiny", out=tmp_path / "like", settings=SETTINGS)
    assert isinstance(like.data, ImageSplit)
    return prepare_reference("resnet18", like.config, like.data, tmp_path / "resnet18")


def test_it_is_trained_as_the_other_one(prepared, monkeypatch):
    without_ray(monkeypatch, best=1)
    result = train_reference(prepared)
    assert [summary.epoch for summary in result.summaries] == [1]
    info = ReferenceInfo.model_validate(parse_json((result.model / "model.json").read_bytes()))
    assert (info.name, info.training["recipe"]) == ("resnet18", "small_final")
    weights = safetensors.torch.load_file(result.model / "model.safetensors")
    prepared.spec.build().load_state_dict(weights)
    # The same command again finds the config on disk.
    again = prepare_reference("resnet18", prepared.config, prepared.data, prepared.folder)
    assert again.config == prepared.config


def test_its_settings_are_the_other_ones(prepared):
    config = prepared.config
    assert (config.seed, config.training.epochs, config.data.train_images) == (3, 1, 32)
    assert config.tracking.enabled is False


def test_a_folder_of_something_else_is_refused(prepared):
    prepared.folder.mkdir()
    (prepared.folder / JOURNAL_FILE).touch()
    with pytest.raises(RunFolderError, match="holds a search or a promotion"):
        prepare_reference("resnet18", prepared.config, prepared.data, prepared.folder)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [("{", RunFolderError, "can't be read as JSON"), ('{"reference": "vgg"}', InvalidConfig, "reference")],
)
def test_a_damaged_config_is_refused(prepared, content, error, message):
    prepared.folder.mkdir()
    (prepared.folder / TRAINING_FILE).write_text(content)
    with pytest.raises(error, match=message):
        prepare_reference("resnet18", prepared.config, prepared.data, prepared.folder)
