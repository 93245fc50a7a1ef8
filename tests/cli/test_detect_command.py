"""`raynas detect`: the plan that it prints, and what it refuses before anything is started."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.models.folder import ModelInfo, save_model
from tests.detection.coco_sets import CLASSES, coco, picture, write_coco
from tests.detection.rectangles import prepared
from tests.detection.small_detectors import small_spec

SMALL = ["--recipe", "small", "--set", "network.filters=8", "--batch-size", "2"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*words: str) -> tuple[int, str]:
    """The exit code, and all that was printed, without the line breaks of a narrow terminal."""
    result = CliRunner().invoke(app, ["detect", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def plan_of(data, *words: str) -> str:
    code, text = call("nasnet_a", "--data", str(data), *SMALL, "--dry-run", *words)
    assert code == 0, text
    return text


def refused(data, *words: str) -> str:
    code, text = call("nasnet_a", "--data", str(data), *SMALL, "--dry-run", *words)
    assert code == 2, text
    return text


def changed(**fields):
    """COCO's content with fields of its first annotation changed; None leaves one out."""
    content = coco()
    first = content["annotations"][0]
    for name, value in fields.items():
        first[name] = value
        if value is None:
            del first[name]
    return content


def test_the_plan_says_what_is_going_to_be_done(tmp_path):
    text = plan_of(write_coco(tmp_path / "data"), "--pictures-per-second", "2")
    assert "raynas detect: nasnet_a, recipe small, seed 0" in text
    assert "maps of strides 8, 16, 32 and a pyramid of 64 channels; squares of 192 pixels" in text
    assert "weights: random weights" in text
    assert "3 classes; 4 training pictures with 8 boxes, 2 validation pictures with 4" in text
    assert "of 2 updates" in text and "2 pictures each" in text
    assert "batch norm: trained" in text and "(with 1 worker)" in text
    assert "at 2 pictures/s per worker" in text
    assert not (tmp_path / "out").exists()


# Each row: the training annotations, and what the message has to name.
REFUSED = {
    "a picture id twice": (
        lambda: {**coco(), "images": [*coco()["images"], coco()["images"][0]]},
        ["instances_train2017.json", "100 twice", "images[0]", "images[4]"],
    ),
    "an annotation id twice": (
        lambda: changed(id=2),
        ["instances_train2017.json", "id 2 twice", "annotations[0]", "annotations[1]"],
    ),
    "a category id twice": (
        lambda: {**coco(), "categories": [*coco()["categories"], {"id": 3, "name": "bee"}]},
        ["instances_train2017.json", "id 3 twice", "categories[0]", "categories[3]"],
    ),
    "an unknown picture": (
        lambda: changed(image_id=999),
        ["instances_train2017.json", "image_id = 999", "annotation"],
    ),
    "an unknown class": (
        lambda: changed(category_id=4),
        ["instances_train2017.json", "category_id = 4", "Known: 3, 7, 9"],
    ),
    "a text where the pictures have numbers": (
        lambda: changed(image_id="100"),
        ["instances_train2017.json", "image_id = '100'", "write texts and numbers alike"],
    ),
    "every box a crowd": (
        lambda: {**coco(), "annotations": [{**one, "iscrowd": 1} for one in coco()["annotations"]]},
        ["All 8 boxes", "instances_train2017.json", "iscrowd = 1"],
    ),
    "no boxes at all": (
        lambda: {**coco(), "annotations": []},
        ["instances_train2017.json", "no usable box"],
    ),
    "only boxes without area": (
        lambda: coco(boxes=((4, 6, 0, 0),)),
        ["instances_train2017.json", "less than 1 pixel"],
    ),
    "fractions of the picture": (
        lambda: coco(boxes=((0.1, 0.1, 0.3, 0.4),)),
        ["instances_train2017.json", "fractions of the picture"],
    ),
    "no pictures": (
        lambda: {**coco(), "images": [], "annotations": []},
        ["instances_train2017.json"],
    ),
    "no classes": (
        lambda: {**coco(), "categories": [], "annotations": []},
        ["instances_train2017.json", "no categories"],
    ),
    "other classes than the validation's": (
        lambda: {**coco(), "categories": [*coco()["categories"][:2], {"id": 9, "name": "bee"}]},
        ["instances_train2017.json", "instances_val2017.json", "'bee' (id 9)", "'owl' (id 9)"],
    ),
    "sides that are swapped": (
        lambda: coco(size=(48, 64)),
        ["48", "64", "0000.png"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_broken_annotations_are_refused_with_file_id_and_value(tmp_path, name):
    content, named = REFUSED[name]
    text = refused(write_coco(tmp_path / "data", train=content()))
    assert [word for word in named if word not in text] == [], text


# Each row: the training annotations, what is said, and the training pictures and boxes that are left.
MENDED = {
    "a box without area": (
        lambda: changed(bbox=[4, 6, 0, 10]),
        ["1 boxes have less than 1 pixel", "100"],
        4,
        7,
    ),
    "a box under a pixel": (lambda: changed(bbox=[4, 6, 5, 0.5]), ["1 boxes have less than 1 pixel"], 4, 7),
    "a box that reaches out": (lambda: changed(bbox=[50, 30, 40, 40]), ["are clipped", "picture 100"], 4, 8),
    "a box outside": (lambda: changed(bbox=[500, 30, 40, 40]), ["less than 1 pixel", "picture 100"], 4, 7),
    "a box that is not a number": (
        lambda: changed(bbox=[float("nan"), 6, 20, 10]),
        ["not finite", "instances_train2017.json"],
        4,
        7,
    ),
    "a box of negative width": (
        lambda: changed(bbox=[40, 6, -20, 10]),
        ["negative", "[40.0, 6.0, -20.0"],
        4,
        7,
    ),
    "no iscrowd": (lambda: changed(iscrowd=None), [], 4, 8),
    "no area": (lambda: changed(area=None), [], 4, 8),
    "no info": (lambda: {key: value for key, value in coco().items() if key != "info"}, [], 4, 8),
    "annotation ids from 0": (lambda: changed(id=0), [], 4, 8),
    "a crowd": (lambda: changed(iscrowd=1), [], 4, 7),
    "a picture of crowds": (
        lambda: {
            **coco(),
            "annotations": [{**one, "iscrowd": int(one["image_id"] == 100)} for one in coco()["annotations"]],
        },
        ["1 pictures are left out of training", "100"],
        3,
        6,
    ),
    "a picture without boxes": (
        lambda: {**coco(), "annotations": [one for one in coco()["annotations"] if one["image_id"] != 101]},
        [],
        4,
        6,
    ),
    "picture ids that are texts": (
        lambda: {
            **coco(),
            "images": [{**one, "id": f"p{one['id']}"} for one in coco()["images"]],
            "annotations": [{**one, "image_id": f"p{one['image_id']}"} for one in coco()["annotations"]],
        },
        [],
        4,
        8,
    ),
    "a class without boxes": (
        lambda: {
            **coco(),
            "annotations": [one for one in coco()["annotations"] if one["category_id"] != 9],
        },
        ["1 of the 3 classes have no box: 'owl'"],
        4,
        None,
    ),
    "sides that are not known": (
        lambda: {**coco(), "images": [{**one, "width": -1, "height": -1} for one in coco()["images"]]},
        ["4 pictures have no usable width and height"],
        4,
        8,
    ),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_can_be_mended_is_counted_and_said(tmp_path, name, caplog):
    content, named, num_pictures, num_boxes = MENDED[name]
    text = plan_of(write_coco(tmp_path / "data", train=content()))
    said = text + " ".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    assert [word for word in named if word not in said] == [], said
    assert f"{num_pictures} training pictures with {num_boxes or ''}" in text


def test_greyscale_pictures_are_taken(tmp_path):
    plan_of(write_coco(tmp_path / "data", draw=lambda number: picture(number, mode="L")))


def test_pictures_that_exif_turns_are_told(tmp_path):
    data = write_coco(tmp_path / "data")
    for file in (data / "train2017").iterdir():
        exif = Image.Exif()
        exif[0x0112] = 6
        picture(0).save(file, exif=exif)
    text = refused(data)
    assert "64" in text and "48" in text and "0000.png" in text


def test_a_missing_picture_is_named(tmp_path):
    data = write_coco(tmp_path / "data")
    (data / "train2017" / "0002.png").unlink()
    text = refused(data)
    assert "0002.png" in text and "102" in text and "data.skip_missing=true" in text
    assert "3 training pictures" in plan_of(data, "--set", "data.skip_missing=true")


def test_a_picture_that_can_not_be_decoded_is_named(tmp_path):
    data = write_coco(tmp_path / "data")
    (data / "train2017" / "0001.png").write_bytes(b"no picture")
    text = refused(data)
    assert "0001.png" in text and "101" in text


def test_without_validation_pictures_nothing_starts(tmp_path):
    data = write_coco(tmp_path / "data")
    (data / "annotations" / "instances_val2017.json").unlink()
    assert "has no validation pictures" in refused(data)


@pytest.mark.parametrize("boxes", [[], [{**one, "iscrowd": 1} for one in coco(2)["annotations"]]])
def test_validation_without_a_box_to_measure_by_is_refused(tmp_path, boxes):
    data = write_coco(tmp_path / "data", validation={**coco(2), "annotations": boxes})
    text = refused(data)
    assert "instances_val2017.json has no box to measure by" in text and f"{len(boxes)} boxes" in text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--recipe", "coc"], ["'coc'", "Did you mean 'coco'", "coco_mobile, coco_paper, small"]),
        (["--set", "detector.side=3"], ["detector.side is not an option", "Did you mean 'sides'"]),
        (["--set", "detector.sides=[16]"], ["detector.sides", "32"]),
        (["--set", "detector.maps=[4,16]"], ["detector", "twice"]),
        (["--set", "detector.maps=[64]"], ["detector.maps = [64]", "2, 4, 8, 16, 32"]),
        (["--set", "detector.norm=synced"], ["detector.norm"]),
        (["--set", "detector.frozen_stride=4"], ["detector.frozen_stride = 4", "random"]),
        (["--set", "detector.anchor_sizes=[[16]]"], ["detector.anchor_sizes", "4 maps"]),
        (["--set", "network.stem=small_image"], ["strides 1, 2, 4", "network.stem=imagenet"]),
        (["--set", "training.sync_norm=true"], ["detector.norm=synchronised"]),
        (["--set", "training.batch_size=5"], ["batch_size = 5", "4 training pictures"]),
        (["--set", "training.schedule.warmup_epochs=100"], ["warmup_epochs"]),
        (["--set", "training.label_smoothing=0.1"], ["training.label_smoothing"]),
        (["--set", "data.image_size=3"], ["data.image_size"]),
        (["--set", "data=7"], ["data"]),
        (["--set", "weights=7"], ["7"]),
        (["--weights", "nowhere.pt"], ["nowhere.pt"]),
        (["--weights", "."], ["no weights"]),
        (["--epochs", "0"], ["training.epochs"]),
        (["--workers", "0"], ["--workers"]),
        (["--resume"], ["--out"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0].startswith("--") else "",
)
def test_a_setting_that_can_not_be_used_is_named(tmp_path, words, named):
    text = refused(write_coco(tmp_path / "data"), *words)
    assert [word for word in named if word not in text] == [], text


def test_a_cell_that_is_not_there_is_named(tmp_path):
    data = write_coco(tmp_path / "data")
    code, text = call("nasnet_q", "--data", str(data), "--dry-run")
    assert code == 2 and "'nasnet_q'" in text and "nasnet_a" in text


def test_without_data_nothing_starts():
    code, text = call("nasnet_a", "--dry-run")
    assert code == 2 and "No pictures are given" in text and "--data" in text


@pytest.mark.parametrize("source", ["nowhere", "file.txt", "s3://bucket", "digits"])
def test_data_that_are_no_pictures_with_boxes_are_named(tmp_path, monkeypatch, source):
    # Nobody waits for the credentials of a machine in Amazon's cloud.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "file.txt").write_text("x")
    code, text = call("nasnet_a", "--data", source, *SMALL, "--dry-run")
    assert code == 2 and source in text, text


@pytest.fixture
def classifier(tmp_path):
    """The folder of a classifier's training, as far as detection reads it."""
    network = small_spec().build()
    info = ModelInfo.of(network, mean=(0.4,) * 3, std=(0.5,) * 3, training={"cell": "mine"})
    save_model(tmp_path / "training" / "model", network, info)
    return tmp_path / "training"


def test_a_training_gives_cells_network_and_weights(tmp_path, classifier):
    data = write_coco(tmp_path / "data")
    for words in (
        [str(classifier)],
        [str(classifier / "model")],
        ["--weights", str(classifier)],
        [str(classifier), "--weights", f"{classifier}/"],
        [str(classifier), "--weights", str(classifier / "model" / "model.safetensors")],
    ):
        code, text = call(
            *words, "--data", str(data), "--recipe", "coco_mobile", "--batch-size", "2", "--dry-run"
        )
        assert code == 0, text
        assert "raynas detect: mine" in text
        assert "weights: " in text and "digest" in text and "random weights" not in text
        assert "batch norm: frozen, as 2 pictures a worker are fewer than 8" in text


def test_weights_of_another_network_are_refused_with_both(tmp_path, classifier):
    data = write_coco(tmp_path / "data")
    code, text = call("pnasnet5", "--weights", str(classifier), "--data", str(data), *SMALL[:2], "--dry-run")
    assert code == 2 and str(classifier) in text and "architecture" in text, text
    code, text = call(
        str(classifier),
        *SMALL[:2],
        "--set",
        "network.filters=16",
        "--batch-size",
        "2",
        "--data",
        str(data),
        "--dry-run",
    )
    assert code == 2 and "filters" in text, text


def test_a_folder_with_a_published_cells_name_does_not_hide_it(tmp_path, classifier):
    shutil.copytree(classifier, tmp_path / "nasnet_a")
    assert "weights: random weights" in plan_of(write_coco(tmp_path / "data"))


@pytest.fixture
def begun(tmp_path):
    """The folder of a detector's training that has written its config and nothing else."""
    from raynas.programs.train.folder import write_config

    data = write_coco(tmp_path / "data")
    plan = prepared(data, tmp_path / "begun", training={"batch_size": 2})
    write_config(plan.folder, plan.config)
    return plan.folder


def test_a_detector_goes_on_with_its_own_command_alone(begun):
    result = CliRunner().invoke(app, ["train", "--resume", "--out", str(begun)])
    assert result.exit_code == 2 and "raynas detect" in " ".join(result.output.split()), result.output
    code, text = call("--resume", "--out", str(begun), "--dry-run")
    assert code == 0 and "raynas detect: nasnet_a" in text, text


def test_a_classifier_is_not_resumed_as_a_detector(tmp_path):
    from raynas.programs.train.folder import write_config
    from raynas.programs.train.prepare import prepare_named_training

    plan = prepare_named_training("nasnet_a", out=tmp_path / "classifier")
    write_config(plan.folder, plan.config)
    code, text = call("--resume", "--out", str(plan.folder), "--dry-run")
    assert code == 2 and "raynas train" in text, text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--data", "other"], ["data.source", "other"]),
        (["pnasnet5"], ["nasnet_a", "architecture"]),
        (["--recipe", "coco"], ["small", "coco"]),
        (["--batch-size", "1"], ["training.batch_size = 2", "not 1"]),
        (["--set", "detector.sides=[64]"], ["detector.sides"]),
        (["--weights", "x.pt"], ["random weights", "x.pt"]),
        (["--epochs", "1"], ["training.epochs"]),
    ],
)
def test_what_a_resumed_training_can_not_change_is_named(begun, tmp_path, words, named):
    write_coco(tmp_path / "other")
    code, text = call(*words, "--resume", "--out", str(begun), "--dry-run")
    assert code == 2, text
    assert [word for word in named if word not in text] == [], text


def test_nothing_is_started_where_a_training_is(begun, tmp_path):
    text = refused(tmp_path / "data", "--out", str(begun))
    assert "already holds a training" in text


def test_a_detector_is_not_taken_for_a_classifier(tmp_path):
    from raynas.detection.folder import DetectorInfo, save_detector
    from tests.detection.small_detectors import SMALL as DETECTOR

    spec = small_spec()
    info = DetectorInfo(
        genotype=spec.genotype,
        network=spec.config,
        image_size=64,
        detector=DETECTOR,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        classes=tuple(one["name"] for one in CLASSES),
        class_ids=tuple(one["id"] for one in CLASSES),
    )
    save_detector(tmp_path / "detector" / "model", info.build(), info)
    data = write_coco(tmp_path / "data")
    for words in (["detector"], ["detector/model"], ["nasnet_a", "--weights", "detector"]):
        code, text = call(*words, "--data", str(data), *SMALL[:2], "--dry-run")
        assert code == 2 and "detector" in text, text
    assert json.loads((tmp_path / "detector" / "model" / "model.json").read_text())["task"] == "detection"
