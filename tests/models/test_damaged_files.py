"""Weights, checkpoints and descriptions that are damaged or meant badly: found by mutating whole ones."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import pytest
import torch
from PIL import Image

from raynas.errors import DataError, ModelError, WeightsError
from raynas.models.folder import load_model
from raynas.models.preprocess import Preprocessing
from raynas.models.tensor_files import load_tensors
from raynas.models.weights import read_weights
from raynas.training.final_checkpoint import checked_state
from tests.fuzz.targets.checkpoint import tiny_training
from tests.fuzz.targets.model import save_tiny


@pytest.fixture
def state():
    """Of a training after its first epoch."""
    training, states = tiny_training(), []
    training.run(lambda _: states.append(copy.deepcopy(training.state_dict())))
    return states[0]


# A memo that isn't there, a number cut short, and a class's name that is no text.
@pytest.mark.parametrize("pickled", [b"\x80\x02h\x07.", b"\x80\x02J\x01\x00", b"c\xff\xfe\nx\n."])
def test_a_pickle_whose_instructions_fail_is_refused_as_damaged(tmp_path, pickled):
    (tmp_path / "state.pt").write_bytes(pickled)
    with pytest.raises(WeightsError, match=r"state\.pt"):
        load_tensors(tmp_path / "state.pt")


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("exploited",)


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"network": Exploit()}, "state.pt")
    with pytest.raises(WeightsError, match="holds more than tensors"):
        load_tensors(tmp_path / "state.pt")
    assert not (tmp_path / "exploited").exists()


def test_safetensors_of_an_unknown_type_are_refused(tmp_path):
    header = json.dumps({"x": {"dtype": "F3", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(WeightsError, match=r"x\.safetensors"):
        read_weights(tmp_path / "x.safetensors", "this network")


@pytest.mark.parametrize("place", [None, {}, {"epoch": -1, "step": 0, "position": 0}, {"epoch": True}])
def test_a_checkpoint_without_a_place_in_the_data_is_refused(state, place):
    checked_state(state)
    with pytest.raises(WeightsError, match="no state of a final training"):
        checked_state({**state, "place": place})


@pytest.mark.parametrize("part", ["network", "optimizer", "average"])
def test_a_checkpoint_without_a_part_is_refused(state, part):
    states: list[Any] = [[], {part: "nothing"}, {**state, part: {"x": 3}}]
    for damaged in states:
        with pytest.raises(WeightsError):
            tiny_training().load_state_dict(checked_state(damaged))


@pytest.mark.parametrize(
    ("name", "value"), [("momentum_buffer", torch.zeros(7)), ("exp_avg", None), ("momentum_buffer", "x")]
)
def test_moments_of_another_optimiser_or_network_are_refused(state, name, value):
    state["optimizer"]["state"][0] = {name: value}
    with pytest.raises(WeightsError, match="doesn't fit this training"):
        tiny_training().load_state_dict(checked_state(state))


def test_how_an_optimiser_updates_is_the_configs_and_not_the_checkpoints(state):
    state["optimizer"]["param_groups"] = [{"momentum": "x"}]
    training = tiny_training()
    training.load_state_dict(checked_state(state))
    training.run()
    assert training.epoch == training.config.epochs


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("network", {"cells_per_stack": 200, "filters": 65536}, "has [0-9,]+ weights, the file"),
        ("num_classes", 10**12, "has [0-9,]+ weights, the file"),
        ("crop_fraction", 1e-320, "crop_fraction"),
        ("image_size", 10**30, "image_size"),
        ("in_channels", 2, "in_channels"),
    ],
)
def test_a_description_of_a_network_too_large_for_its_weights_is_refused_before_it_is_built(
    tmp_path, field, value, message
):
    save_tiny(tmp_path)
    known = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**known, "classes": None, field: value}))
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


def test_a_picture_much_longer_than_wide_is_refused_before_it_is_resized():
    with pytest.raises(DataError, match="would be resized to"):
        Preprocessing(image_size=224)(Image.new("L", (4_000_000, 1)))
