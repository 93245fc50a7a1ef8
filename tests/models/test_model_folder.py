"""The folder of a trained network: what is saved comes back, what is damaged is named."""

from __future__ import annotations

import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from raynas.errors import ModelError
from raynas.models.folder import LoadedModel, ModelInfo, load_model, save_model
from raynas.models.networks import build
from raynas.nn import Network


def tiny(filters: int = 4, **settings: Any) -> LoadedModel:
    network = build("darts_v2_cifar", cells_per_stack=1, filters=filters, num_reductions=1, **settings)
    assert isinstance(network, Network)
    info = ModelInfo.of(network, mean=(0.5,) * 3, std=(0.25,) * 3, training={"seed": 3, "top_1": 0.5})
    return LoadedModel(network, info)


@pytest.fixture
def saved(folder: Path) -> LoadedModel:
    """A model in the folder 'trained'."""
    model = tiny(auxiliary_head=True)
    save_model(Path("trained"), model.network, model.info)
    return model


@torch.no_grad()
def test_what_was_saved_comes_back_in_evaluation_mode_with_its_auxiliary_head(saved):
    loaded = load_model(Path("trained"))
    assert loaded.info == saved.info
    assert not loaded.network.training
    state = loaded.network.state_dict()
    assert any(key.startswith("auxiliary.") for key in state)
    assert state.keys() == saved.network.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in saved.network.state_dict().items())


def test_nothing_but_the_two_files_is_left_and_others_may_read_them(saved):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path("trained").iterdir()}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == dict.fromkeys(["model.safetensors", "model.json"], 0o666 & ~umask)


def test_a_network_laid_out_for_a_gpu_or_with_shared_tensors_can_be_saved(folder):
    model = tiny()
    model.network.to(memory_format=torch.channels_last)
    norms = [module for module in model.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    norms[1].running_mean = norms[0].running_mean[: norms[1].num_features]
    save_model(Path("trained"), model.network, model.info)
    load_model(Path("trained"))


def test_a_file_of_another_name_has_its_description_beside_it(folder):
    model = tiny()
    save_model(Path("mine.safetensors"), model.network, model.info)
    assert sorted(path.name for path in folder.iterdir()) == ["mine.json", "mine.safetensors"]
    assert load_model(Path("mine.safetensors")).info == model.info


def test_a_place_that_cannot_be_written_is_named_and_what_was_there_stays(saved):
    before = Path("trained/model.safetensors").read_bytes()
    Path("trained/model.json").unlink()
    Path("trained/model.json").mkdir()
    with pytest.raises(ModelError, match="can't be written to trained"):
        save_model(Path("trained"), saved.network, saved.info)
    assert Path("trained/model.safetensors").read_bytes() == before
    assert sorted(path.name for path in Path("trained").iterdir()) == ["model.json", "model.safetensors"]


def changed(**fields: Any) -> Callable[[dict[str, Any]], str]:
    return lambda value: json.dumps(value | fields)


def with_block(**fields: Any) -> Callable[[dict[str, Any]], str]:
    def damage(value: dict[str, Any]) -> str:
        value["genotype"]["normal"]["blocks"][0] |= fields
        return json.dumps(value)

    return damage


DAMAGES = {
    "cut off": (lambda value: json.dumps(value)[:200], "model.json can't be read as JSON"),
    "empty": (lambda value: "", "can't be read as JSON"),
    "nested": (lambda value: "[" * 100_000, "can't be read as JSON"),
    "a list": (lambda value: "[1]", "holds a JSON list"),
    "of the future": (changed(format=2, raynas="9.0"), "has format 2, written by raynas 9.0"),
    "unknown field": (changed(clases=["a"]), "clases is not an option. Did you mean 'classes'?"),
    "no genotype": (changed(genotype=None), "genotype = None"),
    "unknown op": (with_block(op_a="sep_conv_3x4"), "Did you mean 'sep_conv_3x3'?"),
    "cycle": (with_block(input_a=7), "normal cell, block 0, input_a: 7 is not a state"),
    "no filters": (changed(network={"filters": 0}), "network.filters = 0"),
    "means": (changed(mean=[0.5]), "mean has 1 numbers; in_channels = 3 needs as many"),
    "std": (changed(std=[0.5, 0.0, 0.5]), "std.1 = 0.0"),
    "class names": (changed(classes=["a", "b"]), "2 names of classes for 10 classes"),
    "size": (changed(image_size=1), "Images of 1 pixels are too small"),
    "other classes": (changed(num_classes=7), "classifier.weight"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_garbled_description_is_named_with_what_is_wrong(saved, damage):
    write, message = DAMAGES[damage]
    path = Path("trained/model.json")
    path.write_text(write(json.loads(path.read_text())))
    with pytest.raises(ModelError) as caught:
        load_model(Path("trained"))
    assert "trained/model.json" in str(caught.value)
    assert message in str(caught.value)


def test_a_description_that_is_no_text_is_refused(saved):
    Path("trained/model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match=r"model\.json can't be read as JSON"):
        load_model(Path("trained"))


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_file_that_is_missing_is_named(saved, name):
    Path("trained", name).unlink()
    with pytest.raises(ModelError, match=name):
        load_model(Path("trained"))


def test_weights_of_another_architecture_are_refused(saved):
    other = tiny(filters=6, auxiliary_head=True)
    save_model(Path("other"), other.network, other.info)
    os.replace("other/model.safetensors", "trained/model.safetensors")
    with pytest.raises(ModelError, match=r"trained/model\.safetensors does not go with .*of another shape"):
        load_model(Path("trained"))


def test_an_auxiliary_head_that_no_memory_holds_is_refused_before_it_is_built(saved):
    path = Path("trained/model.json")
    value = json.loads(path.read_text())
    assert value["network"]["auxiliary_head"]
    path.write_text(json.dumps(value | {"image_size": 8192}))
    with pytest.raises(ModelError, match=r"that network has [\d,]{12,} weights, the file [\d,]+ numbers"):
        load_model(Path("trained"))


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("exploited",)


def test_weights_that_are_a_pickle_are_refused_and_not_run(saved):
    Path("trained/model.safetensors").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(ModelError, match="can't be read as weights"):
        load_model(Path("trained"))
    assert not Path("exploited").exists()


def test_a_description_belongs_to_its_network(folder):
    with pytest.raises(AssertionError):
        save_model(Path("trained"), tiny(filters=6).network, tiny().info)
