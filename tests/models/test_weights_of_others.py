"""Weights as others save them: wrapped, prefixed, averaged, of other types, channels and classes."""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from raynas.errors import WeightsError
from raynas.files import CHECKPOINTS_FOLDER, JOURNAL_FILE, STATE_FILE, TRAINING_FILE
from raynas.models.fitting import AUXILIARY, AUXILIARY_CLASSIFIER, CLASSIFIER, fit_weights
from raynas.models.folder import ModelInfo, save_model
from raynas.models.networks import FeatureExtractor, build
from raynas.models.timm_names import to_timm
from raynas.models.weights import known_info, read_weights, weights_file
from raynas.nn import Network, NetworkConfig, NetworkSpec
from tests.nn.small_networks import TINY

State = dict[str, Tensor]
SPEC = NetworkSpec(TINY, NetworkConfig(cells_per_stack=1, filters=4), 3, 5, 32)
WITH_AUXILIARY = replace(SPEC, config=SPEC.config.model_copy(update={"auxiliary_head": True}))


def seeded(spec: NetworkSpec = SPEC, seed: int = 1) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.build()


@pytest.fixture
def network() -> Network:
    return seeded()


@pytest.fixture
def state(network: Network) -> State:
    return {key: tensor.clone() for key, tensor in network.state_dict().items()}


def prefixed(state: Mapping[str, Tensor], *prefixes: str) -> State:
    return {"".join(prefixes) + key: tensor for key, tensor in state.items()}


def other(state: State) -> State:
    return {key: tensor + 1 for key, tensor in state.items()}


def assert_same(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert given.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(given[key], expected[key])] == []


OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}

WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": lambda s: s,
    "parameters": lambda s: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "best_acc1": torch.tensor(0.9)},
    "model": lambda s: {"model": s, "optimizer": OPTIMIZER, "rng_state": torch.zeros(8, dtype=torch.uint8)},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": OPTIMIZER, "loss": 0.1},
    "net": lambda s: {"net": s, "acc": 91.2, "epoch": 3},
    "module": lambda s: {"module": s, "dp_world_size": 8},
    "an unknown name": lambda s: {"student": s, "epoch": 3},
    "names in names": lambda s: {"checkpoint": {"state": {"model": prefixed(s, "module.")}}},
    "DDP": lambda s: prefixed(s, "module."),
    "compiled": lambda s: prefixed(s, "_orig_mod."),
    "DDP, then compiled": lambda s: prefixed(s, "_orig_mod.", "module."),
    "compiled, then DDP": lambda s: prefixed(s, "module.", "_orig_mod."),
    "DDP twice": lambda s: prefixed(s, "module.", "module."),
    "compiled cells": lambda s: {k.replace("cells.0.", "cells.0._orig_mod."): v for k, v in s.items()},
    "Lightning": lambda s: {
        "state_dict": {**prefixed(s, "model."), "criterion.weight": torch.ones(5)},
        "pytorch-lightning_version": "2.5.0",
        "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [OPTIMIZER],
        "lr_schedulers": [],
    },
    "Lightning, compiled": lambda s: {"state_dict": prefixed(s, "model.", "_orig_mod.")},
    "timm's checkpoint": lambda s: {
        "arch": "x",
        "args": argparse.Namespace(lr=0.1),
        "state_dict": other(s),
        "state_dict_ema": s,
        "optimizer": OPTIMIZER,
    },
    "model_ema": lambda s: {"model": other(s), "model_ema": prefixed(s, "module.")},
    "ema": lambda s: {"model": other(s), "ema": {"decay": 0.99, "module": s}},
    "ema of parameters alone": lambda s: {
        "model": s,
        "ema": {"shadow": {k: v for k, v in s.items() if "running" not in k and "num_batches" not in k}},
    },
    "ema beside the model in one module": lambda s: {
        "state_dict": prefixed(other(s), "model.") | prefixed(s, "model_ema.module.")
    },
    "ema without names": lambda s: {"model": s, "ema": {"shadow_params": [torch.zeros(3)]}},
    "ema that is empty": lambda s: {"state_dict": s, "state_dict_ema": None},
    "profiled by thop": lambda s: {**s, "total_ops": torch.zeros(1), "stem.0.0.total_ops": torch.zeros(1)},
    "in a detector": lambda s: {**prefixed(s, "backbone.body."), "rpn.head.weight": torch.zeros(3)},
    "without counters": lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
    "counters as floats": lambda s: {k: v.float() for k, v in s.items()},
    "double": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("suffix", [None, ".pt"])
def test_d10_every_wrapping_gives_the_same_weights(tmp_path, state, wrapping, suffix):
    source: Any = WRAPPINGS[wrapping](state)
    if suffix is not None:
        torch.save(source, tmp_path / f"w{suffix}")
        source = tmp_path / f"w{suffix}"
    fitted = fit_weights(read_weights(source, "tiny").state, SPEC)
    assert_same(fitted.state, state)
    assert fitted.new == {}


@pytest.mark.parametrize("name", ["timm's checkpoint", "model_ema", "ema", "ema of parameters alone"])
def test_d10_a_moving_average_is_preferred_and_that_is_said(state, name):
    notes = "; ".join(read_weights(WRAPPINGS[name](state), "tiny").notes)
    assert "the moving average of the weights" in notes
    assert ("tensors that the average lacks are from model" in notes) == (name == "ema of parameters alone")


def test_d10_an_averaged_model_and_a_compiled_one_are_read(network, state):
    averaged = AveragedModel(network)
    assert_same(read_weights(averaged.state_dict(), "tiny").state, state)
    assert_same(read_weights(torch.compile(network, backend="eager").state_dict(), "tiny").state, state)  # type: ignore[attr-defined]


def test_d10_timms_names_may_be_wrapped_too():
    network = build("nasnet_a_mobile", cells_per_stack=1, filters=44, num_classes=3)
    assert isinstance(network, Network)
    weights = read_weights({"state_dict": prefixed(to_timm(network), "module.")}, "nasnet_a_mobile")
    spec = NetworkSpec(network.genotype, network.config, 3, 3, 224)
    assert_same(fit_weights(weights.state, spec).state, network.state_dict())


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".ckpt", ".pth.tar", ".whatever", ""])
def test_d10_the_name_of_a_torch_file_does_not_matter(tmp_path, state, suffix):
    torch.save({"model": state}, tmp_path / f"w{suffix}", _use_new_zipfile_serialization=suffix != ".pth")
    assert_same(read_weights(tmp_path / f"w{suffix}", "tiny").state, state)


def test_d10_safetensors_with_a_prefix_are_read(tmp_path, state):
    safetensors.torch.save_file(prefixed(state, "module."), tmp_path / "w.safetensors")
    assert_same(read_weights(tmp_path / "w.safetensors", "tiny").state, state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_d10_other_types_become_float32_and_that_is_said(state, dtype):
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    weights = read_weights(given, "tiny")
    assert {v.dtype for v in weights.state.values()} == {torch.float32, torch.int64}
    assert weights.notes == (f"{str(dtype).removeprefix('torch.')} converted to float32",)
    assert torch.equal(weights.state["stem.0.0.weight"], given["stem.0.0.weight"].float())


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_d10_weights_that_are_not_finite_are_refused(state, number):
    state["stem.0.1.bias"][0] = number
    with pytest.raises(
        WeightsError, match=r"not finite .* in 1 of its \d+ tensors, the first stem\.0\.1\.bias"
    ):
        read_weights({"model": state}, "tiny")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, "holds no state dict"),
        ({}, "holds no state dict"),
        ([torch.zeros(1)], "holds no state dict"),
        (OPTIMIZER, "holds no state dict"),
        ({1: torch.zeros(1)}, "holds no state dict"),
    ],
)
def test_d10_what_holds_no_network_is_refused(tmp_path, value, message):
    torch.save(value, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path / "w.pt", "tiny")


def test_d10_of_two_networks_none_is_guessed(state):
    with pytest.raises(WeightsError, match="holds several networks: 'student', 'teacher'"):
        read_weights({"student": state, "teacher": other(state)}, "tiny")


def test_d10_sparse_and_quantised_tensors_are_refused(state):
    state["stem.0.0.weight"] = state["stem.0.0.weight"].to_sparse()
    with pytest.raises(WeightsError, match=r"stem\.0\.0\.weight is sparse"):
        read_weights(state, "tiny")


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("exploited",)


def test_d10_a_whole_pickled_module_is_refused_with_the_code_that_saves_its_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(nn.Linear(2, 2), "w.pt")
    with pytest.raises(WeightsError, match=r"torch\.save\(saved\.state_dict\(\), 'weights\.pt'\)"):
        read_weights("w.pt", "tiny")
    torch.save({"args": argparse.Namespace(x=Exploit())}, "w.pt")
    with pytest.raises(WeightsError, match="unpickles nothing else"):
        read_weights("w.pt", "tiny")
    assert not Path("exploited").exists()


def test_d10_names_that_do_not_fit_are_listed_with_their_shapes(state):
    state["cells.0.x"] = state.pop("cells.0.match.0.1.weight")
    state["stem.0.0.weight"] = state["stem.0.0.weight"][:, :, :1]
    with pytest.raises(WeightsError) as caught:
        fit_weights(state, SPEC)
    text = str(caught.value)
    assert "1 missing: cells.0.match.0.1.weight (4, 12, 1, 1)." in text
    assert "1 unexpected: cells.0.x (4, 12, 1, 1)." in text
    assert "1 of another shape: stem.0.0.weight (12, 3, 1, 3), here (12, 3, 3, 3)." in text


def test_d10_weights_of_another_kind_of_network_are_refused():
    state = {"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(10, 512)}
    with pytest.raises(WeightsError, match=r"2 unexpected: conv1\.weight \(64, 3, 7, 7\), fc\.weight"):
        fit_weights(read_weights(prefixed(state, "module."), "tiny").state, SPEC)


# --- folders ----------------------------------------------------------------------------------------------


def save_as_model(folder: Path, network: Network, classes: tuple[str, ...] | None = None) -> None:
    save_model(folder, network, ModelInfo.of(network, mean=(0.5,) * 3, std=(0.5,) * 3, classes=classes))


def test_d10_folders_of_raynas_are_read(tmp_path, network, state):
    run = tmp_path / "run"
    run.mkdir()
    (run / TRAINING_FILE).write_text("{}")
    for number, weights in enumerate([other(state), state]):
        place = run / CHECKPOINTS_FOLDER / f"checkpoint_2026-11-29_08-58-3{number}.889451"
        place.mkdir(parents=True)
        average = {"n_averaged": torch.tensor(3), **prefixed(weights, "module.")}
        torch.save(
            {"network": other(weights), "optimizer": OPTIMIZER, "average": average, "place": {"epoch": 1}},
            place / STATE_FILE,
        )
    # The newest checkpoint, until there is a model.
    assert_same(read_weights(run, "tiny").state, state)
    assert_same(read_weights(place, "tiny").state, state)
    assert known_info(run) is None
    save_as_model(run / "model", seeded(seed=2), tuple("abcde"))
    for source in (run, run / "model", run / "model" / "model.safetensors"):
        weights = read_weights(source, "tiny")
        assert_same(weights.state, seeded(seed=2).state_dict())
        assert weights.classes == tuple("abcde")


def test_d10_a_folder_with_one_file_of_weights_is_that_file(tmp_path, state):
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text("{}")
    assert weights_file(tmp_path) == tmp_path / "pytorch_model.bin"
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"holds 2 files of weights: other\.pt, pytorch_model\.bin"):
        weights_file(tmp_path)


def test_d10_somebody_elses_json_beside_a_file_is_ignored(tmp_path, state):
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_text('{"model": "x"}')
    assert read_weights(tmp_path / "w.safetensors", "tiny").info is None


def test_d10_what_has_no_weights_is_refused_with_advice(tmp_path):
    with pytest.raises(WeightsError, match="holds no weights"):
        weights_file(tmp_path)
    (tmp_path / JOURNAL_FILE).touch()
    with pytest.raises(WeightsError, match=r"keeps cells and no weights\. Train its best cell first"):
        weights_file(tmp_path)
    (tmp_path / TRAINING_FILE).touch()
    with pytest.raises(WeightsError, match="has no checkpoint yet"):
        weights_file(tmp_path)
    with pytest.raises(WeightsError, match="Fetch the file first"):
        weights_file("s3://bucket/w.pt")
    for name in ("nowhere.pt", "x" * 300, "nul\0l"):
        with pytest.raises(WeightsError, match="There are no weights at"):
            read_weights(tmp_path / name, "tiny")
    (tmp_path / "lfs.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(WeightsError, match="git lfs pull"):
        read_weights(tmp_path / "lfs.safetensors", "tiny")


def test_d10_a_digest_is_of_the_tensors_and_not_of_their_wrapping(state):
    digest = read_weights(state, "tiny").digest()
    assert read_weights({"state_dict": prefixed(state, "module.")}, "tiny").digest() == digest
    assert read_weights(other(state), "tiny").digest() != digest


# --- channels and classes ---------------------------------------------------------------------------------


def test_d10_grey_images_get_the_sum_of_the_colour_channels(state):
    fitted = fit_weights(state, replace(SPEC, in_channels=1))
    assert torch.equal(fitted.state["stem.0.0.weight"], state["stem.0.0.weight"].sum(dim=1, keepdim=True))
    assert fitted.notes[0] == "the first convolution's 3 channels are summed to one, for grey images"


@pytest.mark.parametrize("stem", ["small_image", "imagenet", "darts_imagenet"])
def test_d10_on_a_grey_picture_the_network_with_grey_weights_is_the_one_with_colour_weights(stem):
    config = SPEC.config.model_copy(update={"stem": stem})
    colour_spec = replace(SPEC, config=config, image_size=64)
    grey_spec = replace(colour_spec, in_channels=1)
    images_NCHW = torch.rand(2, 1, 64, 64)
    for trained, wanted in ((colour_spec, grey_spec), (grey_spec, colour_spec)):
        source, target = seeded(trained).eval(), seeded(wanted, seed=2).eval()
        target.load_state_dict(fit_weights(source.state_dict(), wanted).state)
        expected_NK = source(images_NCHW.expand(-1, trained.in_channels, -1, -1))
        given_NK = target(images_NCHW.expand(-1, wanted.in_channels, -1, -1))
        assert torch.allclose(given_NK, expected_NK, atol=1e-5)


def test_d10_other_numbers_of_channels_are_timms(state):
    weight = state["stem.0.0.weight"]
    fitted = fit_weights(state, replace(SPEC, in_channels=4)).state["stem.0.0.weight"]
    assert torch.allclose(fitted, torch.cat([weight, weight[:, :1]], dim=1) * 3 / 4)
    four = {**state, "stem.0.0.weight": fitted}
    with pytest.raises(WeightsError, match=r"stem\.0\.0\.weight \(12, 4, 3, 3\), here \(12, 3, 3, 3\)"):
        fit_weights(four, SPEC)


def test_d10_another_number_of_classes_makes_the_classifiers_anew(state):
    state = dict(seeded(WITH_AUXILIARY).state_dict())
    fitted = fit_weights(state, replace(WITH_AUXILIARY, num_classes=7))
    assert fitted.new == {
        CLASSIFIER: "theirs has 5 classes, here are 7",
        AUXILIARY_CLASSIFIER: "theirs has 5 classes, here are 7",
    }
    missing = state.keys() - fitted.state.keys()
    assert missing == {
        f"{part}classifier.{name}" for part in ("", "auxiliary.") for name in ("weight", "bias")
    }


def test_d10_classes_of_the_same_names_are_kept_and_put_into_order():
    state = dict(seeded(WITH_AUXILIARY).state_dict())
    state["classifier.bias"] = torch.arange(5.0)
    same = fit_weights(state, WITH_AUXILIARY, trained_classes="abcde", classes=tuple("abcde"))
    assert_same(same.state, state)
    turned = fit_weights(state, WITH_AUXILIARY, trained_classes="abcde", classes=tuple("caebd"))
    assert turned.new == {}
    assert turned.state["classifier.bias"].tolist() == [2.0, 0.0, 4.0, 1.0, 3.0]
    for part in ("", "auxiliary."):
        assert torch.equal(turned.state[f"{part}classifier.weight"][3], state[f"{part}classifier.weight"][1])
    assert any("put into their new order" in note for note in turned.notes)


def test_d10_as_many_classes_of_other_names_make_the_classifier_anew(state):
    fitted = fit_weights(state, SPEC, trained_classes="abcde", classes=tuple("abcdx"))
    assert fitted.new == {CLASSIFIER: "the classes have other names, such as 'x' here"}
    unknown = fit_weights(state, SPEC, classes=tuple("abcdx"))
    assert unknown.new == {} and "whose names can't be compared" in unknown.notes[0]


def test_d10_an_auxiliary_head_is_new_where_it_is_missing_or_of_another_size(state):
    assert fit_weights(state, WITH_AUXILIARY).new == {AUXILIARY: "the weights have none"}
    larger = seeded(replace(WITH_AUXILIARY, image_size=128)).state_dict()
    assert list(fit_weights(larger, WITH_AUXILIARY).new) == [AUXILIARY]
    dropped = fit_weights(seeded(WITH_AUXILIARY).state_dict(), SPEC)
    assert "the auxiliary head is left out" in dropped.notes


def test_d10_a_network_without_a_classifier_takes_the_rest(state):
    fitted = fit_weights(state, replace(SPEC, num_classes=0))
    assert fitted.state.keys() == {key for key in state if not key.startswith("classifier.")}
    backbone = FeatureExtractor(seeded(replace(SPEC, num_classes=0)))
    again = fit_weights(read_weights(backbone.state_dict(), "tiny").state, SPEC)
    assert again.new == {CLASSIFIER: "the weights have none"}


def test_d10_build_keeps_a_classifier_of_as_many_classes():
    source = build(TINY, num_classes=7, cells_per_stack=1, filters=4)
    kept = build(TINY, num_classes=7, cells_per_stack=1, filters=4, weights=source.state_dict())
    assert_same(kept.state_dict(), source.state_dict())
    with pytest.raises(WeightsError, match="theirs has 7 classes, here are 10"):
        build(TINY, cells_per_stack=1, filters=4, weights=source.state_dict())
    features = build(TINY, cells_per_stack=1, filters=4, weights=source.state_dict(), features_only=True)
    assert torch.equal(features.network.stem[0][0].weight, source.stem[0][0].weight)


def test_d10_reading_changes_nothing_of_the_users(state):
    before = copy.deepcopy(state)
    fit_weights(read_weights(state, "tiny").state, replace(SPEC, in_channels=1, num_classes=3))
    assert_same(state, before)
