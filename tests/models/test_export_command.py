"""`raynas export`: what is written and printed, and that a mistake leaves everything as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from raynas.cells.genotype import Genotype
from raynas.cli.main import app
from raynas.errors import ModelError, RaynasError
from raynas.models import export as export_module
from raynas.models.export import export_model
from raynas.models.folder import LoadedModel, ModelInfo, load_model, save_model
from raynas.models.networks import build


@pytest.fixture(scope="module")
def small() -> LoadedModel:
    network = build("darts_v2_cifar", cells_per_stack=1, filters=4, num_reductions=1, auxiliary_head=True)
    info = ModelInfo.of(
        network,
        mean=(0.4, 0.5, 0.6),
        std=(0.25,) * 3,
        classes=("cat", "```", *"abcdefgh"),
        training={"data": "a | b\nc", "accuracy": {"top_1": 0.875}, "git_commit": "4f0c2e1"},
    )
    return LoadedModel(network.eval(), info)


@pytest.fixture
def trained(folder: Path, small: LoadedModel) -> Path:
    """A run's folder that holds a trained network."""
    save_model(folder / "run" / "model", small.network, small.info)
    return folder / "run"


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["export", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_run_is_exported_by_its_folder_or_its_models_folder(trained, folder):
    code, out, _ = call("run", "--format", "safetensors", "--out", "out/mine.safetensors")
    assert code == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "mine.json",
        "mine.safetensors",
        "mine.safetensors.md",
        "mine.safetensors.svg",
    ]
    assert re.search(r"^out/mine\.safetensors  \d+\.\d MB$", out, re.M)
    assert re.search(r"^out/mine\.safetensors\.md ", out, re.M)
    assert "largest difference from the network in PyTorch: 0.0e+00" in out
    assert call("run/model", "--format", "safetensors")[0] == 0
    assert (folder / "run.safetensors").read_bytes() == (folder / "out/mine.safetensors").read_bytes()


def test_the_best_epochs_network_is_exported_by_its_folder_under_a_name_of_its_own(trained, folder, small):
    info = small.info.model_copy(update={"training": {"epochs": 2}})
    save_model(trained / "best", small.network, info)
    assert call("run/best", "--format", "safetensors")[0] == 0
    assert load_model(folder / "run-best.safetensors").info.training == {"epochs": 2}


@pytest.mark.slow
@torch.no_grad()
def test_what_was_exported_as_safetensors_can_be_read_and_exported_again(trained, small):
    assert call("run", "--format", "safetensors", "--out", "a.safetensors")[0] == 0
    loaded = load_model(Path("a.safetensors"))
    assert loaded.network.auxiliary is None and not loaded.info.network.auxiliary_head
    images_NCHW = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.network(images_NCHW), small.network(images_NCHW))
    assert call("a.safetensors", "--format", "pt2", "--image-size", "16")[0] == 0
    assert torch.export.load("a.pt2").module()(torch.zeros(5, 3, 16, 16)).shape == (5, 10)


def test_exporting_leaves_the_network_as_it_is(folder, small):
    before = (small.network.training, small.network.auxiliary, small.network.config)
    export_model(small, "safetensors", folder / "a.safetensors")
    assert (small.network.training, small.network.auxiliary, small.network.config) == before


@pytest.mark.slow
def test_a_published_network_takes_weights_from_a_file(folder):
    source = build("nasnet_a_cifar", num_classes=7, auxiliary_head=True)
    safetensors.torch.save_file(source.state_dict(), "w.safetensors")
    words = ["nasnet_a_cifar", "--weights", "w.safetensors", "--format", "safetensors"]
    code, _, error = call(*words)
    assert code == 2
    assert "theirs has 7 classes, here are 10" in error and "--num-classes" in error
    assert call(*words, "--num-classes", "7")[0] == 0
    loaded = load_model(Path("nasnet_a_cifar.safetensors"))
    assert torch.equal(*(model.get_parameter("classifier.weight") for model in (loaded.network, source)))
    assert loaded.info.training["weights"] == "w.safetensors"


@pytest.mark.slow
def test_random_weights_are_the_same_each_time_and_the_card_says_so(folder):
    words = ["enas_micro_cifar", "--random-weights", "--format", "safetensors"]
    assert call(*words)[0] == call(*words, "--out", "b.safetensors")[0] == 0
    name = "enas_micro_cifar"
    assert Path(f"{name}.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    assert "this network is not trained" in Path(f"{name}.safetensors.md").read_text()


def test_the_card_says_what_the_network_is(folder, small):
    out = folder / "a cell.safetensors"
    card = export_model(small, "safetensors", out).card.read_text()
    cost = small.info.spec.complexity()
    facts = dict(re.findall(r"^\| (.+?) \| (.+) \|$", card, re.M))
    assert facts["parameters"] == f"{cost.parameters:,}"
    assert facts["multiply-adds"] == f"{cost.mult_adds:,}"
    assert facts["mean"] == "0.4, 0.5, 0.6" and facts["std"] == "0.25, 0.25, 0.25"
    assert facts["input"] == "float32, N x 3 x 32 x 32"
    assert facts["data"] == r"a \| b c"
    assert facts["accuracy.top_1"] == "0.875" and facts["git_commit"] == "4f0c2e1"
    assert f"torch {torch.__version__}" in facts["exported with"] and "Python 3" in facts["exported with"]
    values = [json.loads(text) for text in re.findall(r"```json\n(.*?)\n```\n", card, re.S)]
    assert tuple(values[0]) == small.info.classes
    assert Genotype.from_dict(values[1]) == small.info.genotype
    assert "![Normal and reduction cell](a%20cell.safetensors.svg)" in card
    assert (folder / "a cell.safetensors.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("name", ["a.safetensors", "a.safetensors.md", "a.safetensors.svg", "a.json"])
def test_nothing_is_overwritten_unless_it_is_asked_for(trained, name):
    words = ["run", "--format", "safetensors", "--out", "a.safetensors"]
    there = Path(name)
    there.write_text("mine")
    code, _, error = call(*words)
    assert code == 2
    assert f"{name} exists already" in error and "--force" in error
    assert [path.name for path in Path().iterdir() if path.is_file()] == [name]
    assert there.read_text() == "mine"
    assert call(*words, "--force")[0] == 0
    assert there.read_bytes() != b"mine"


MISTAKES = [
    (["nasnet_a_mobil"], "Did you mean 'nasnet_a_mobile'?"),
    (["nowhere"], "there is nothing at nowhere"),
    (["."], "holds no trained network: there is no model.json in it"),
    (["run", "--format", "onxx"], "onxx"),
    (["run", "--out", "a.pt2"], "a.pt2 does not end in .onnx"),
    (["run", "--format", "pt2", "--out", "a"], "Give a.pt2"),
    (["run", "--weights", "w.pt"], "--weights is for published networks"),
    (["run", "--random-weights"], "--random-weights is for published networks"),
    (["run", "--num-classes", "3"], "--num-classes is for published networks"),
    (["run", "--image-size", "0"], "image-size"),
    (["run", "--image-size", "1"], "Images of 1 pixels are too small"),
    (["run", "--format", "pt2", "--out", "run/model/model.json/a.pt2"], "a.pt2 can't be written"),
    (["nasnet_a_cifar"], "Give --weights FILE"),
    (["nasnet_a_cifar", "--random-weights", "--weights", "w.pt"], "not both"),
    (["nasnet_a_cifar", "--weights", "w.pt"], "There are no weights at w.pt"),
    (["nasnet_a_cifar", "--weights", "run/model/model.safetensors"], "The weights don't fit this network"),
    (["nasnet_a_cifar", "--weights", "timm:tf_in1k"], "timm has no weights for nasnet_a_cifar"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_ends_with_code_2_and_changes_nothing(trained, folder, words, message):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _, error = call(*words)
    assert code == 2
    assert message in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def write_other_weights(model: LoadedModel, path: Path) -> None:
    with torch.no_grad():
        model.network.classifier.weight.mul_(1.01)
    save_model(path, model.network, model.info)
    with torch.no_grad():
        model.network.classifier.weight.div_(1.01)


def test_a_file_that_gives_other_logits_is_removed_and_the_old_one_stays(trained, monkeypatch):
    words = ["run", "--format", "safetensors", "--out", "a.safetensors", "--force"]
    Path("a.safetensors").write_text("mine")
    monkeypatch.setitem(export_module._WRITERS, "safetensors", write_other_weights)
    code, _, error = call(*words)
    assert code == 1
    assert "gives other logits than the network: they differ by 0.0" in error
    assert [path.name for path in Path().iterdir()] in (["run", "a.safetensors"], ["a.safetensors", "run"])
    assert Path("a.safetensors").read_text() == "mine"


def test_a_network_that_gives_no_finite_numbers_is_not_exported(folder, small):
    broken = LoadedModel(build("darts_v2_cifar", cells_per_stack=1, filters=4, num_reductions=1), small.info)
    with torch.no_grad():
        broken.network.classifier.bias.fill_(torch.nan)
    with pytest.raises(RaynasError, match="not finite"):
        export_model(broken, "safetensors", folder / "a.safetensors")
    assert list(folder.iterdir()) == []


def test_a_package_that_onnx_needs_is_named(folder, small, monkeypatch):
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="Format onnx needs onnx and onnxscript, not installed"):
        export_model(small, "onnx", folder / "a.onnx")
