"""Weights from files: what fits is loaded, what does not is named, nothing is unpickled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from raynas.errors import UnknownName, WeightsError
from raynas.models import timm_hub
from raynas.models.networks import FeatureExtractor, build
from raynas.nn import Network
from tests.models.large_networks import needs_timm

ROOT = Path(__file__).parents[2]


def tiny(**words: Any) -> Network:
    network = build("nasnet_a_cifar", cells_per_stack=1, filters=4, **words)
    assert isinstance(network, Network)
    return network


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return dict(tiny().state_dict())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_file_is_loaded(tmp_path, state, suffix):
    path = tmp_path / f"weights{suffix}"
    (safetensors.torch.save_file if suffix == ".safetensors" else torch.save)(state, path)
    loaded = tiny(weights=path).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_an_auxiliary_head_may_be_missing(state):
    network = tiny(weights=state, auxiliary_head=True)
    assert torch.equal(network.stem[0][0].weight, state["stem.0.0.weight"])


def test_missing_and_unexpected_tensors_are_named_and_nothing_is_copied(state):
    network = tiny()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state["cells.0.match.0.1.wieght"] = state.pop("cells.0.match.0.1.weight")
    with pytest.raises(WeightsError) as caught:
        tiny(weights=state)
    assert "1 missing: cells.0.match.0.1.weight (4, 12, 1, 1)." in str(caught.value)
    assert "1 unexpected: cells.0.match.0.1.wieght (4, 12, 1, 1)." in str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_weights_of_another_size_are_refused(state):
    with pytest.raises(WeightsError, match=r"of another shape: stem\.0\.0\.weight \(12, 3, 3, 3\), here"):
        build("nasnet_a_cifar", cells_per_stack=1, filters=6, weights=state)


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("exploited",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"stem": Exploit()}, "weights.pt")
    with pytest.raises(WeightsError, match="holds more than tensors"):
        tiny(weights="weights.pt")
    assert not (tmp_path / "exploited").exists()


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02}q\x00."])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.\w+"):
        tiny(weights=tmp_path / name)


def test_a_file_that_is_no_state_dict_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match="holds no state dict"):
        tiny(weights=tmp_path / "weights.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"There are no weights at .*nowhere\.pt"):
        tiny(weights=tmp_path / "nowhere.pt")


@needs_timm
def test_without_a_network_one_line_says_so(monkeypatch):

    def unreachable(address: str) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm_hub, "_reach", unreachable)
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(WeightsError) as caught:
        build("nasnet_a_large", weights="timm:tf_in1k")
    assert "'nasnetalarge.tf_in1k' could not be fetched" in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_timm
def test_an_unknown_tag_or_network_of_timm_is_named():
    with pytest.raises(WeightsError, match=r"no weights 'nasnetalarge\.in21k'. Known tags: tf_in1k"):
        build("nasnet_a_large", weights="timm:in21k")
    with pytest.raises(WeightsError, match="timm has no weights for nasnet_a_mobile"):
        build("nasnet_a_mobile", weights="timm:tf_in1k")


def test_an_unknown_network_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'nasnet_a_large'"):
        build("nasnet_a_lrge")


@pytest.mark.slow
@needs_timm
def test_torchvision_can_be_imported_and_its_models_work():
    code = (
        "from raynas.models.torchvision_import import load_torchvision as make; make(); make();"
        "import torch, torchvision;"
        "print(torchvision.models.resnet18().eval()(torch.zeros(1, 3, 32, 32)).shape[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1000", done.stderr


def test_features_only_is_without_a_classifier():
    extractor = build("nasnet_a_cifar", cells_per_stack=1, filters=4, features_only=True)
    assert isinstance(extractor, FeatureExtractor)
    maps = extractor(torch.zeros(2, 3, 32, 32))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (feature.channels, 32 // feature.stride, 32 // feature.stride) for feature in extractor.feature_info
    ]
    assert not any(key.startswith("network.classifier") for key in extractor.state_dict())
