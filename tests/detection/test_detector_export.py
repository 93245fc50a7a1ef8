"""`raynas export` of detectors: what is written, that it runs without raynas, and mistakes."""

# Shapes: C channels, H x W pixels, D detections.

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from typer.testing import CliRunner

import raynas.models
from raynas.cli.main import app
from raynas.detection import export as export_module
from raynas.detection.export import export_detector
from raynas.detection.folder import (
    DetectorInfo,
    is_detector,
    load_detector,
    read_detector_info,
    save_detector,
)
from raynas.detection.letterbox import Letterbox
from raynas.detection.predictor import picture_tensor
from raynas.errors import ModelError, RaynasError, UsageError
from raynas.models.folder import ModelInfo, read_info, save_model
from raynas.nn import Network, NetworkConfig
from tests.detection.rectangle_files import rectangle_set
from tests.detection.small_detectors import COLOUR, SMALL, busy_detector, small_spec
from tests.nn.small_networks import TINY

NUM_REAL = 20
CLASSES = ("cat", 'a "dog"', "```")


def info(**fields: object) -> DetectorInfo:
    spec = small_spec(TINY, filters=4, stem_filters=4)
    values = {
        "genotype": spec.genotype,
        "network": spec.config,
        "image_size": spec.image_size,
        "detector": SMALL,
        "mean": COLOUR.mean,
        "std": COLOUR.std,
        "classes": CLASSES,
        "class_ids": (3, "b", 9),
        "training": {"data": "my/pictures", "epochs": 7, "ap": 0.25, "ap50": 0.5, "ap/cat": 0.125},
    }
    return DetectorInfo(**{**values, **fields})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a detector's training, with the pictures that it names."""
    root = tmp_path_factory.mktemp("detector")
    # Exporting takes time in proportion to the number of operations.
    detector = busy_detector(genotype=TINY, filters=4, stem_filters=4)
    save_detector(root / "final/model", detector, info())
    save_detector(root / "final/best", detector, info(training={"epochs": 3}))
    rectangle_set(root / "pictures")
    (root / "final/training.json").write_text(json.dumps({"data": {"source": str(root / "pictures")}}))
    return root


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a detector's training in final/."""
    shutil.copytree(made / "final", tmp_path / "final")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["export", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_trainings_folder_is_that_of_its_last_detector(folder):
    assert is_detector(folder / "final") and is_detector(folder / "final/model")
    assert load_detector("final").info == read_detector_info(folder / "final/model")
    assert load_detector("final/best").info.training == {"epochs": 3}
    assert not is_detector(folder) and not is_detector(folder / "nowhere")


def test_what_reads_classifiers_says_that_it_is_a_detector(folder):
    with pytest.raises(ModelError, match=r"model\.json describes a detector, not an image classifier"):
        read_info(folder / "final/model")


def test_a_description_of_a_larger_detector_than_the_file_has_is_refused(folder):
    path = folder / "final/model/model.json"
    value = json.loads(path.read_text())
    value["detector"]["box_features"] = 8192
    path.write_text(json.dumps(value))
    with pytest.raises(ModelError, match=r"that detector has [\d,]+ weights, the file [\d,]+ numbers"):
        load_detector("final")


@pytest.mark.slow
def test_safetensors_holds_the_detector_and_can_be_exported_again(folder):
    code, out, error = call("final", "--format", "safetensors")
    assert code == 0, error
    assert sorted(path.name for path in folder.iterdir()) == [
        "final",
        "final.json",
        "final.safetensors",
        "final.safetensors.md",
        "final.safetensors.svg",
    ]
    assert re.search(r"boxes 0\.0e\+00 pixels, scores 0\.0e\+00, for (\d+) of \1 detections in 4", out)
    assert "pictures)" in out
    assert load_detector("final.safetensors").info == load_detector("final").info
    assert call("final.safetensors", "--format", "safetensors", "--out", "b.safetensors")[0] == 0
    assert Path("b.safetensors").read_bytes() == Path("final.safetensors").read_bytes()
    assert call("final/best", "--format", "safetensors")[0] == 0
    assert load_detector("final-best.safetensors").info.training == {"epochs": 3}


def test_without_pictures_it_is_checked_on_made_up_ones(folder):
    Path("final/training.json").write_text(json.dumps({"data": {"source": "gone"}}))
    code, out, _ = call("final", "--format", "safetensors")
    assert code == 0 and "(made up)" in out


def test_the_pictures_can_be_given(folder, made):
    words = ["final", "--format", "safetensors", "--check-on", str(made / "pictures/val2017/0001.png")]
    code, out, error = call(*words)
    assert code == 0, error
    assert "detections in 1 pictures" in out and "0001.png" in out


def test_the_card_says_what_the_detector_is_and_how_well_it_was_measured(folder):
    assert call("final", "--format", "safetensors")[0] == 0
    card = Path("final.safetensors.md").read_text()
    facts = dict(re.findall(r"^\| (.+?) \| (.+) \|$", card, re.M))
    parameters = sum(parameter.numel() for parameter in load_detector("final").detector.parameters())
    assert facts["parameters"] == f"{parameters:,}"
    assert "| ap | 0.2500 |\n| ap50 | 0.5000 |" in card
    assert "validation pictures of my/pictures, after epoch 7" in card
    values = [json.loads(text) for text in re.findall(r"```json\n(.*?)\n```\n", card, re.S)]
    assert values[0] == [{"name": n, "id": i} for n, i in zip(CLASSES, (3, "b", 9), strict=True)]
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    Image.new("RGB", (60, 40), (200, 10, 10)).save("picture.jpg")
    exec(code, {})


MISTAKES = [
    (["final", "--format", "onxx"], "onxx"),
    (["final", "--out", "a.pt2"], "a.pt2 does not end in .onnx"),
    (["final", "--weights", "w.pt"], "--weights is for published networks"),
    (["final", "--random-weights"], "--random-weights is for published networks"),
    (["final", "--num-classes", "3"], "--num-classes is for published networks"),
    (["final", "--image-size", "0"], "--image-size 0 must be"),
    (["final", "--image-size", "-32"], "--image-size -32 must be"),
    (["final", "--image-size", "96x"], "--image-size 96x must be"),
    (["final", "--image-size", "96x160x3"], "--image-size 96x160x3 must be"),
    (["final", "--image-size", "100"], "Give [96, 96]"),
    (["final", "--image-size", "96x150"], "Give [96, 160]"),
    (["final", "--image-size", "99968x96"], "Give [8192, 96]"),
    (["final", "--format", "safetensors", "--image-size", "96"], "Leave the size (--image-size) out"),
    (["final", "--format", "safetensors", "--check-on", "nowhere"], "There are no pictures in nowhere"),
    (["final", "--format", "safetensors", "--check-on", "text.jpg"], "text.jpg"),
    (["classifier", "--format", "pt2", "--image-size", "96x160"], "is a classifier, whose images are square"),
    (["classifier", "--format", "pt2", "--check-on", "final"], "--check-on is for detectors"),
    (["broken", "--format", "pt2"], "does not describe a detector"),
    (["damaged", "--format", "pt2"], "does not go with"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_ends_with_code_2_and_changes_nothing(folder, words, message):
    Path("text.jpg").write_text("no picture")
    network = Network(
        TINY, NetworkConfig(cells_per_stack=1, filters=4), in_channels=3, num_classes=4, image_size=8
    )
    save_model(folder / "classifier", network, ModelInfo.of(network, mean=(0.5,) * 3, std=(0.25,) * 3))
    Path("broken").mkdir()
    Path("broken/model.json").write_text('{"task": "detection", "classes": []}')
    shutil.copytree("final/model", "damaged")
    Path("damaged/model.safetensors").write_bytes(b"\0" * 100)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _, error = call(*words)
    assert code == 2
    assert message in " ".join(error.split())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.safetensors", "a.safetensors.md", "a.safetensors.svg", "a.json"])
def test_nothing_is_overwritten_unless_it_is_asked_for(folder, name):
    words = ["final", "--format", "safetensors", "--out", "a.safetensors"]
    Path(name).write_text("mine")
    code, _, error = call(*words)
    assert code == 2 and f"{name} exists already" in error
    assert Path(name).read_text() == "mine"
    assert call(*words, "--force")[0] == 0
    assert Path(name).read_bytes() != b"mine"


def test_a_file_that_finds_other_things_is_not_kept(folder, monkeypatch):
    def write_other(model, letterbox, path):
        with torch.no_grad():
            model.detector.roi_heads.box_predictor.cls_score.bias.add_(torch.tensor([0.0, 5.0, 0.0, 0.0]))
        save_detector(path, model.detector, model.info)
        with torch.no_grad():
            model.detector.roi_heads.box_predictor.cls_score.bias.sub_(torch.tensor([0.0, 5.0, 0.0, 0.0]))

    monkeypatch.setitem(export_module._WRITERS, "safetensors", write_other)
    code, _, error = call("final", "--format", "safetensors")
    assert code == 1 and "finds other things than the detector" in error
    assert [path.name for path in folder.iterdir()] == ["final"]


def test_a_detector_that_diverged_is_not_exported(folder):
    model = load_detector("final")
    with torch.no_grad():
        model.detector.roi_heads.box_predictor.cls_score.bias.fill_(torch.nan)
    with pytest.raises(RaynasError, match="not finite"):
        export_detector(model, "safetensors", folder / "a.safetensors")
    assert [path.name for path in folder.iterdir()] == ["final"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(427, 640), (426, 640), (480, 640), (333, 500), (2, 200), (97, 301)])
def test_a_wide_picture_gets_the_size_that_the_detector_gives_it(size):
    letterbox, detector = Letterbox.of(SMALL), busy_detector()
    (resized,) = detector.transform([torch.zeros(3, *size)])[0].image_sizes
    assert letterbox.inner_size(size) == resized


def test_a_stretching_detector_gets_stretched_pictures():
    config = SMALL.model_copy(update={"stretch": True, "sides": (100,)})
    letterbox = Letterbox.of(config)
    assert (letterbox.image_size, letterbox.inner_size((10, 300))) == ((128, 128), (100, 100))
    with pytest.raises(UsageError, match="multiples of 32"):
        Letterbox.of(config, (100, 100))


def real_pictures(real_data: Path) -> list[Path]:
    """Pictures that are wider than high, which the default size holds as the detector scales them."""
    place = real_data / "coco_tiny"
    if not place.is_dir():
        pytest.skip(f"no coco_tiny in {real_data}")
    wide = []
    for path in sorted(place.rglob("*.jpg")):
        with Image.open(path) as picture:
            if picture.width > picture.height:
                wide.append(path)
    return wide[:NUM_REAL]


@torch.no_grad()
def found_by_faster_rcnn(place: Path, picture: Path) -> tuple[Tensor, Tensor, Tensor]:
    """torchvision's own result, in a batch that it pads to the size of the exported file."""
    detector = load_detector(place).detector
    image_HWC = np.asarray(ImageOps.exif_transpose(Image.open(picture)).convert("RGB"))
    blank_CHW = torch.zeros(3, *Letterbox.of(SMALL).image_size)
    found, _ = detector([picture_tensor(image_HWC, num_channels=3), blank_CHW])
    return found["boxes"], found["scores"], found["labels"]


def assert_same_boxes(given: dict[str, np.ndarray], expected: tuple[Tensor, Tensor]) -> None:
    """Every box has its own counterpart of the same class, whatever the order of almost equal scores."""
    boxes_D4, labels_D = (one.numpy() for one in expected)
    ours_D4, our_labels_D = given["boxes"][: len(boxes_D4)], given["labels"][: len(labels_D)]
    assert sorted(our_labels_D.tolist()) == sorted(labels_D.tolist())
    gaps_DD = np.abs(boxes_D4[:, None] - ours_D4[None]).max(axis=2)
    gaps_DD[labels_D[:, None] != our_labels_D[None]] = np.inf
    assert sorted(gaps_DD.argmin(axis=1).tolist()) == list(range(len(boxes_D4)))
    assert gaps_DD.min(axis=1).max(initial=0.0) < 0.5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_without_raynas_both_formats_find_in_real_pictures_what_the_detector_finds(folder, real_data):
    (folder / "pictures").mkdir()
    files = real_pictures(real_data)
    assert len(files) == NUM_REAL
    for path in files:
        shutil.copy(path, folder / "pictures")
    for format in ("onnx", "pt2"):
        code, out, error = call("final", "--format", format, "--check-on", "pictures")
        assert code == 0, error
        assert "in 4 pictures (of pictures)" in out
    script = str(Path(__file__).with_name("detector_outsider.py"))
    models = str(Path(raynas.models.__file__).parent)
    words = [sys.executable, "-I", script, str(folder), models]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    total = 0
    for path in files:
        boxes_D4, scores_D, labels_D = found_by_faster_rcnn(folder / "final", path)
        number = int((scores_D > 0.3).sum())
        total += number
        for format in ("onnx", "pt2"):
            with np.load(f"final.{format}.npz") as found:
                given = {key: found[f"{path.name}/{key}"] for key in ("boxes", "scores", "labels")}
            assert int((given["scores"] > 0.3).sum()) == number, path.name
            assert_same_boxes(given, (boxes_D4[:number], labels_D[:number]))
    assert total > NUM_REAL
    for format in ("onnx", "pt2"):
        assert str(Path(__file__).parents[2]).encode() not in Path(f"final.{format}").read_bytes()
