"""A classifier is measured as its training measured it, and on other data class by class."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import raynas
from raynas.data.decode import EncodedImage
from raynas.errors import DataError, InvalidConfig, ModelError, UsageError
from raynas.models.preprocess import Preprocessing
from raynas.programs.evaluate.images import NetworkPixels
from tests.data.builders import write_parquet
from tests.detection.coco_sets import write_coco
from tests.programs.evaluate.evaluated import (
    NAMES,
    described,
    squares,
    trained_on_digits,
    trained_on_folders,
    untrained_detector,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def on_digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    return folder, trained_on_digits(folder)


@pytest.fixture(scope="module")
def on_folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    data = squares(folder / "data")
    return folder / "training", data, trained_on_folders(folder / "training", data)


def test_in_memory_it_finds_the_top1_that_the_training_recorded(on_digits):
    folder, top1 = on_digits
    found = raynas.evaluate(folder, data="digits")
    assert found.scores.num_images == 300
    assert found.scores.top1 == top1
    assert found.images == "300 images of digits, which its training held out"


def test_streamed_it_finds_the_top1_that_the_training_recorded(on_folders):
    folder, data, top1 = on_folders
    found = raynas.evaluate(folder, data=str(data))
    assert found.scores.num_images == 36
    assert found.scores.top1 == top1
    # It doesn't give every image the same class, so that wrong pixels would show.
    assert (found.scores.confusion_KK.sum(axis=0) > 3).sum() > 1
    assert found.images == "36 validation images of data"


def test_the_result_does_not_depend_on_the_batch_size(on_folders):
    folder, data, top1 = on_folders
    assert raynas.evaluate(folder, data=str(data), batch_size=5).scores.top1 == top1


def test_other_images_without_parts_are_measured_whole(on_folders, tmp_path):
    data = squares(tmp_path / "others", splits=(".",))
    found = raynas.evaluate(on_folders[0], data=str(data), best=True)
    assert found.scores.num_images == 36
    assert "all that it has" in found.images
    assert found.model.name == "best"


def test_the_split_can_be_chosen(on_digits, on_folders):
    found = raynas.evaluate(on_folders[0], data=str(on_folders[1]), split="train")
    assert found.images == "36 training images of data"
    held_out = raynas.evaluate(on_digits[0], data="digits", split="train")
    assert held_out.scores.num_images == 1797 - 300


def test_a_split_that_is_not_there_is_refused(on_folders, tmp_path):
    data = squares(tmp_path / "others", splits=(".",))
    with pytest.raises(DataError, match="has no validation images"):
        raynas.evaluate(on_folders[0], data=str(data), split="validation")


def test_classes_in_another_order_are_matched_by_name(on_folders, tmp_path):
    folder, data, top1 = on_folders
    contents, labels = [], []
    for place, name in enumerate(("owl", "cat", "dog")):
        for path in sorted((data / "val" / name).iterdir()):
            contents.append(path.read_bytes())
            labels.append(place)
    file = write_parquet(
        tmp_path / "val.parquet", images=contents, labels=labels, class_names=("owl", "cat", "dog")
    )
    found = raynas.evaluate(folder, data=str(file))
    assert found.scores.top1 == top1
    assert found.classes == NAMES
    own = raynas.evaluate(folder, data=str(data))
    assert np.array_equal(found.scores.confusion_KK, own.scores.confusion_KK)


def test_other_classes_are_refused_with_the_differences(on_folders, tmp_path):
    data = squares(tmp_path / "others", names=("cat", "owl", "zebra"))
    with pytest.raises(DataError, match="only in the data: 'zebra'; only in the network: 'dog'"):
        raynas.evaluate(on_folders[0], data=str(data))


def test_fewer_classes_with_names_are_refused(on_folders, tmp_path):
    data = squares(tmp_path / "others", names=("cat", "owl"))
    with pytest.raises(DataError, match="only in the data: none; only in the network: 'dog'"):
        raynas.evaluate(on_folders[0], data=str(data))


@pytest.mark.parametrize(("labels", "is_refused"), [((0, 1), False), ((0, 1, 2), False), ((0, 3), True)])
def test_without_names_classes_are_matched_by_number(on_folders, tmp_path, labels, is_refused):
    contents = [path.read_bytes() for path in sorted((on_folders[1] / "val" / "owl").iterdir())]
    repeated = [labels[index % len(labels)] for index in range(len(contents))]
    file = write_parquet(tmp_path / "x.parquet", images=contents, labels=repeated, class_names=None)
    if is_refused:
        with pytest.raises(DataError, match="has 4 classes and the network 3"):
            raynas.evaluate(on_folders[0], data=str(file))
    else:
        assert raynas.evaluate(on_folders[0], data=str(file)).scores.num_images == 12


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "I;16"])
def test_the_pixels_are_those_of_the_networks_preprocessing(tmp_path, channels, mode):
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels_HWC)
    picture = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
    picture.save(tmp_path / "one.png")
    own = Preprocessing(20, 0.875, (0.5,) * channels, (0.25,) * channels)
    pixels_HWC = NetworkPixels(own)(EncodedImage(tmp_path / "one.png"), np.random.default_rng(0))
    with Image.open(tmp_path / "one.png") as opened:
        wanted_CHW = own(opened)
    found_CHW = (torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1)[:channels] / 255.0 - 0.5) / 0.25
    assert torch.equal(found_CHW, wanted_CHW)


def test_the_surest_errors_are_written_and_nothing_is_overwritten(on_folders, tmp_path):
    folder, data, _ = on_folders
    swapped = tmp_path / "swapped"
    shutil.copytree(data / "val", swapped)
    (swapped / "cat").rename(tmp_path / "was_cat")
    (swapped / "owl").rename(swapped / "cat")
    (tmp_path / "was_cat").rename(swapped / "owl")
    out = tmp_path / "out"
    found = raynas.evaluate(folder, data=str(swapped), pictures=3, out=out)
    assert [path.name for path in found.pictures] == ["0001.png", "0002.png", "0003.png"]
    for path in found.pictures:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
    before = [path.read_bytes() for path in found.pictures]
    with pytest.raises(UsageError, match=r"0001\.png exists already"):
        raynas.evaluate(folder, data=str(swapped), pictures=3, out=out)
    assert [path.read_bytes() for path in found.pictures] == before


def test_fewer_errors_than_pictures_give_fewer_pictures(on_digits, tmp_path):
    found = raynas.evaluate(on_digits[0], data="digits", pictures=900, out=tmp_path / "out")
    confusion_KK = found.scores.confusion_KK
    assert len(found.pictures) == min(900, confusion_KK.sum() - np.trace(confusion_KK))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"pictures": 2}, "Pictures need a folder"),
        ({"out": "x"}, "give pictures"),
        ({"pictures": -1, "out": "x"}, "give a number from 0"),
        ({"batch_size": 0}, "give at least 1"),
        ({"settings": {"data": {"sourc": 1}}}, "data.sourc is not an option"),
        ({"settings": {"detector": {}}}, "detector is not an option"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(on_digits, words, message):
    with pytest.raises(UsageError, match=message):
        raynas.evaluate(on_digits[0], data="digits", **words)


def test_no_data_is_refused(on_digits):
    with pytest.raises(InvalidConfig, match="No images are given"):
        raynas.evaluate(on_digits[0])


def test_what_is_no_trained_network_is_refused(on_digits, tmp_path):
    with pytest.raises(ModelError, match="There is nothing at"):
        raynas.evaluate(tmp_path / "none", data="digits")
    with pytest.raises(ModelError, match="holds no trained network"):
        raynas.evaluate(tmp_path, data="digits")
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(ModelError, match="has not ended"):
        raynas.evaluate(tmp_path, data="digits")
    (tmp_path / "training.json").rename(tmp_path / "journal.jsonl")
    with pytest.raises(ModelError, match="holds a search"):
        raynas.evaluate(tmp_path, data="digits")
    with pytest.raises(UsageError, match="is one network"):
        raynas.evaluate(on_digits[0] / "model", data="digits", best=True)
    with pytest.raises(ModelError, match="'best'"):
        raynas.evaluate(on_digits[0], data="digits", best=True)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_damaged_network_is_refused(on_digits, tmp_path, name):
    shutil.copytree(on_digits[0], tmp_path / "copy")
    content = (tmp_path / "copy" / "model" / name).read_bytes()
    (tmp_path / "copy" / "model" / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        raynas.evaluate(tmp_path / "copy", data="digits")


def test_a_network_without_classes_is_refused(on_digits, tmp_path):
    shutil.copytree(on_digits[0] / "model", tmp_path / "features")
    described(tmp_path / "features", num_classes=0, classes=None)
    with pytest.raises(UsageError):
        raynas.evaluate(tmp_path / "features", data="digits")


@pytest.mark.parametrize("record", ["not JSON", "[]", '{"data": 3, "seed": "x"}'])
def test_a_damaged_training_json_does_no_harm(on_digits, tmp_path, record):
    shutil.copytree(on_digits[0], tmp_path / "copy")
    (tmp_path / "copy" / "training.json").write_text(record)
    found = raynas.evaluate(tmp_path / "copy", data="digits", settings={"data": {"validation_images": 300}})
    assert found.scores.num_images == 300


def test_pictures_with_boxes_are_not_for_a_classifier(on_folders, tmp_path):
    data = write_coco(tmp_path / "coco")
    with pytest.raises(DataError, match="has pictures with boxes, for a detector"):
        raynas.evaluate(on_folders[0], data=str(data))


def test_images_without_labels_are_refused(on_folders, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "one.png")
    with pytest.raises(DataError, match="has no class"):
        raynas.evaluate(on_folders[0], data=str(tmp_path))


def test_a_model_folder_alone_knows_its_own_data(on_digits, tmp_path):
    shutil.copytree(on_digits[0] / "model", tmp_path / "handed on")
    found = raynas.evaluate(
        tmp_path / "handed on", data="digits", settings={"data": {"validation_images": 300}}
    )
    assert found.images == "300 images of digits, which its training held out"
    own = raynas.evaluate(on_digits[0], data="digits")
    assert found.scores.images_of_classes == own.scores.images_of_classes


def test_digits_that_were_not_trained_on_are_measured_whole(on_digits, tmp_path):
    shutil.copytree(on_digits[0] / "model", tmp_path / "other")
    path = tmp_path / "other" / "model.json"
    described(tmp_path / "other", training=json.loads(path.read_text())["training"] | {"data": "mnist"})
    assert raynas.evaluate(tmp_path / "other", data="digits").scores.num_images == 1797


def test_a_detector_is_told_from_a_classifier(tmp_path):
    place = untrained_detector(tmp_path / "detector")
    with pytest.raises(DataError, match="no COCO annotations"):
        raynas.evaluate(place, data=str(squares(tmp_path / "data")))


@pytest.mark.slow
def test_ray_and_mlflow_are_not_loaded():
    code = (
        "import sys, raynas.programs.evaluate.evaluate, raynas.cli.evaluate, raynas.cli.terminal.evaluate; "
        "print(*({'ray', 'mlflow'} & set(sys.modules)))"
    )
    root = Path(raynas.__file__).parents[1]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
