"""COCO folders are found, read into arrays, and their faults are named or mended by rule."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raynas.detection.data.coco_json import read_coco
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.dataset import DetectionData, open_detection
from raynas.errors import DataError

from .coco_sets import SIZE, Content, coco, picture, write_coco, write_pictures

Change = Callable[[Content], object]


def opened(root: Path, **settings: Any) -> DetectionData:
    return open_detection(DetectionDataConfig(source=str(root), **settings))


def written(root: Path, change: Change, **coco_settings: Any) -> Path:
    """A data set whose training annotations were changed."""
    content = coco(**coco_settings)
    change(content)
    return write_coco(root, train=content)


def test_boxes_become_arrays_with_labels_in_the_order_of_class_ids(tmp_path):
    data = opened(write_coco(tmp_path))
    train = data.train
    assert data.classes.ids == (3, 7, 9) and data.classes.names == ("cat", "dog", "owl")
    assert train.picture_ids == (100, 101, 102, 103)
    assert train.boxes.boxes_N4.dtype == np.float32 and train.boxes.labels_N.dtype == np.int32
    assert train.boxes.boxes_N4[:2].tolist() == [[4, 6, 24, 16], [30, 20, 42, 36]]
    assert train.boxes.labels_N.tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert train.boxes.offsets.tolist() == [0, 2, 4, 6, 8]
    assert data.validation.num_pictures == 2 and train.findings == ()


def test_coco_tiny_is_read(real_data):
    if not (real_data / "coco_tiny").is_dir():
        pytest.skip(f"no coco_tiny in {real_data}")
    data = opened(real_data / "coco_tiny")
    assert (len(data.classes), data.train.num_pictures, len(data.train.boxes)) == (80, 50, 470)
    assert (data.validation.num_pictures, len(data.validation.boxes)) == (50, 382)
    assert data.classes.ids[-1] == 90 and data.classes.names[-1] == "toothbrush"
    assert data.validation.boxes.is_crowd_N.sum() == 5


def in_one_folder(root: Path) -> Path:
    """Roboflow's layout: the annotations beside the pictures of each split."""
    for folder, content in (("train", coco()), ("valid", coco(2)), ("test", coco(3))):
        write_pictures(root / folder, content)
        (root / folder / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def with_images_folder(root: Path) -> Path:
    for split, content in (("train", coco()), ("val", coco(2))):
        write_pictures(root / "images" / split, content)
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return root


def with_whole_paths(root: Path) -> Path:
    for split, content in (("train", coco()), ("val", coco(2))):
        write_pictures(root / split, content)
        for record in content["images"]:
            record["file_name"] = f"{split}\\{record['file_name']}"
        (root / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def with_cocos_other_files(root: Path) -> Path:
    write_coco(root)
    for name in ("captions_train2017", "person_keypoints_train2017", "image_info_test2017"):
        (root / "annotations" / f"{name}.json").write_text("[]")
    return root


@pytest.mark.parametrize(
    "write", [in_one_folder, with_images_folder, with_whole_paths, with_cocos_other_files]
)
def test_the_usual_layouts_are_found(tmp_path, write):
    data = opened(write(tmp_path))
    assert (data.train.num_pictures, data.validation.num_pictures) == (4, 2)
    assert all(Path(path).is_file() for path in data.train.pictures.paths)
    assert not set(data.train.pictures.paths) & set(data.validation.pictures.paths)


def test_files_may_be_given(tmp_path):
    root = write_coco(tmp_path / "set")
    (root / "annotations" / "instances_train2017.json").rename(tmp_path / "mine.json")
    (root / "train2017").rename(root / "photos")
    data = opened(
        root,
        train_annotations=str(tmp_path / "mine.json"),
        train_pictures="photos",
        validation_annotations="annotations/instances_val2017.json",
    )
    assert data.train.pictures.paths[0] == str(root / "photos" / "0000.png")


def test_a_given_file_that_is_not_there_is_named_with_its_setting(tmp_path):
    root = write_coco(tmp_path)
    with pytest.raises(DataError, match=r"data\.train_annotations = .*Did you mean 'instances_train2017"):
        opened(root, train_annotations="annotations/instances_tain2017.json")
    with pytest.raises(DataError, match=r"data\.validation_pictures = '.*pics' is not a path"):
        opened(root, validation_pictures="pics")
    with pytest.raises(DataError, match=r"data\.train_annotations = 'annotations' is a folder"):
        opened(root, train_annotations="annotations")
    with pytest.raises(DataError, match=r"is not a path that can be read.*COCO's annotations"):
        opened(tmp_path / "elsewhere")


def test_file_names_in_another_case_are_told(tmp_path):
    root = written(tmp_path, lambda c: [r.update(file_name=r["file_name"].upper()) for r in c["images"]])
    with pytest.raises(DataError, match=r"'0000\.PNG' is not in .*0000\.png is there: upper and lower case"):
        opened(root)


def test_a_file_of_two_pictures_is_told(tmp_path, caplog):
    data = opened(written(tmp_path, lambda c: of_picture(c, file_name="0000.png")))
    assert data.train.num_pictures == 4
    assert "1 pictures have a file that another has" in caplog.text


def test_several_annotations_of_a_split_are_listed(tmp_path):
    root = write_coco(tmp_path)
    annotations = root / "annotations" / "instances_train2017.json"
    shutil.copy(annotations, annotations.with_name("instances_train2014.json"))
    with pytest.raises(DataError, match=r"instances_train2014\.json, .*Set data\.train_annotations"):
        opened(root)
    assert opened(root, train_annotations="annotations/instances_train2017.json").train.num_pictures == 4


def test_a_folder_without_annotations_says_what_is_allowed(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"no COCO annotations.*instances_train"):
        opened(tmp_path)


def test_without_a_train_split_evaluation_is_possible_and_training_is_not(tmp_path):
    root = write_coco(tmp_path)
    (root / "annotations" / "instances_train2017.json").unlink()
    data = opened(root)
    assert data.train is None and data.validation.num_pictures == 2
    with pytest.raises(DataError, match="no training data"):
        data.for_training()


NOT_COCO = {
    "empty": ("", "is empty"),
    "spaces": (" \n ", "is empty"),
    "a list": ("[]", "is a list"),
    "a web page": ("<html>", "begins with '<html>'"),
    "a text": ('"coco"', "is no JSON object"),
    "other lists": ('{"info": 1, "images": []}', "no list 'annotations'; it has 'info', 'images'"),
    "no list": ('{"images": {}}', "'images', but it is no list"),
    "twice": ('{"images": [], "images": []}', "'images' twice"),
    "numbers as records": ('{"images": [7]}', r"7 in images\[0\]; allowed is an object"),
    "a wrong sign": ('{"images": [}', "is no JSON: a value is expected at line 1, character 12"),
    "a comma too many": ('{"images": [{"id": 1,}]}', "is no JSON"),
    "more behind": ('{"images": [], "annotations": [], "categories": []} {}', "more text after its end"),
    "deep": ('{"a": ' + "[" * 100_000, "nested too deeply"),
    "a long number": ('{"a": ' + "9" * 5000 + "}", "a number that can't be read"),
    "captions": (
        '{"images": [], "annotations": [{"image_id": 1, "caption": "a dog"}], "categories": []}',
        r"no 'bbox' in annotations\[0\]: it is a file of captions",
    ),
    "panoptic": (
        '{"images": [], "annotations": [{"image_id": 1, "segments_info": []}]}',
        "of panoptic segmentation",
    ),
    "an unpaired surrogate": ('{"images": [{"id": 1, "file_name": "\\ud800"}]}', "valid Unicode"),
}


@pytest.mark.parametrize(("text", "message"), NOT_COCO.values(), ids=NOT_COCO.keys())
def test_what_is_no_coco_is_named(text, message):
    with pytest.raises(DataError, match=rf"^boxes\.json .*{message}"):
        read_coco(text.encode(), "boxes.json")


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\x00", b"\xff\xfe{}", b"\x89PNG\r\n"])
def test_what_is_no_text_is_named(content):
    with pytest.raises(DataError, match=r"boxes\.json is (compressed|not UTF-8)"):
        read_coco(content, "boxes.json")


def test_a_file_is_cut_off_wherever_it_ends(tmp_path):
    text = json.dumps(coco())
    for length in range(1, len(text) - 1, 7):
        with pytest.raises(DataError, match=r"cut off|is no JSON|no list"):
            read_coco(text[:length].encode(), "boxes.json")
    with pytest.raises(DataError, match="is cut off after 500 characters"):
        read_coco(text[:500].encode(), "boxes.json")


def test_a_byte_order_mark_and_a_missing_info_are_fine():
    content = coco()
    del content["info"]
    assert len(read_coco(json.dumps(content).encode("utf-8-sig"), "boxes.json").boxes_N4) == 8


def first(content: Content, **values: Any) -> None:
    content["annotations"][0].update(values)


def of_picture(content: Content, **values: Any) -> None:
    content["images"][1].update(values)


REFUSED: dict[str, tuple[Change, str]] = {
    "a picture id twice": (
        lambda c: of_picture(c, id=100),
        r"the id 100 twice: images\[0\] and images\[1\]",
    ),
    "a box id twice": (lambda c: first(c, id=2), r"the id 2 twice: annotations\[0\] and annotations\[1\]"),
    "a class id twice": (lambda c: c["categories"][1].update(id=3), r"the id 3 twice: categories\[0\]"),
    "an unknown picture": (
        lambda c: first(c, image_id=999),
        r"image_id = 999 in annotations\[0\] \(id 1\).*among its 4 images",
    ),
    "an unknown class": (
        lambda c: first(c, category_id=4),
        r"category_id = 4 in annotations\[0\] \(id 1\) of picture 100.*Known: 3, 7, 9",
    ),
    "a text for a number": (
        lambda c: first(c, image_id="100"),
        r"image_id = '100' .* 100 is there: write texts and numbers alike",
    ),
    "no picture id": (lambda c: c["annotations"][0].pop("image_id"), r"no 'image_id' in annotations\[0\]"),
    "no id": (lambda c: c["images"][2].pop("id"), r"no 'id' in images\[2\]"),
    "a fraction as id": (lambda c: of_picture(c, id=1.5), r"id = 1\.5 in images\[1\]"),
    "a null as id": (lambda c: of_picture(c, id=None), r"id = None in images\[1\]"),
    "a truth value as id": (lambda c: of_picture(c, id=True), r"id = True in images\[1\]"),
    "an endless id": (lambda c: of_picture(c, id=10**30), r"id = 1000"),
    "three numbers": (lambda c: first(c, bbox=[1, 2, 3]), r"bbox = \[1, 2, 3\] in annotations\[0\] \(id 1\)"),
    "a box of texts": (lambda c: first(c, bbox=["1", 2, 3, 4]), r"bbox = '1' in annotations\[0\]"),
    "a box of truth values": (lambda c: first(c, bbox=[True, 2, 3, 4]), r"bbox = True"),
    "no box": (lambda c: c["annotations"][0].pop("bbox"), r"no 'bbox' in annotations\[0\] \(id 1\)"),
    "beyond 32-bit floats": (lambda c: first(c, bbox=[1, 2, 1e39, 4]), r"bbox = 1e\+39 in annotations\[0\]"),
    "an integer beyond floats": (lambda c: first(c, bbox=[1, 2, 10**400, 4]), r"bbox = 1000"),
    "a wrong crowd": (lambda c: first(c, iscrowd=2), r"iscrowd = 2 in annotations\[0\] \(id 1\)"),
    "a crowd as text": (lambda c: first(c, iscrowd="1"), r"iscrowd = '1'"),
    "an area as text": (lambda c: first(c, area="big"), r"area = 'big'"),
    "no file name": (lambda c: c["images"][1].pop("file_name"), r"no 'file_name' in images\[1\] \(id 101\)"),
    "an empty file name": (lambda c: of_picture(c, file_name=""), r"file_name = '' in images\[1\]"),
    "a way out": (lambda c: of_picture(c, file_name="../../etc/passwd"), r"file_name = '\.\./\.\./etc"),
    "a whole path": (lambda c: of_picture(c, file_name="/etc/passwd"), r"file_name = '/etc/passwd'"),
    "an address": (
        lambda c: of_picture(c, file_name="https://images.org/1.png"),
        r"file_name = 'https://images\.org/1\.png', which is an address",
    ),
    "a drive": (lambda c: of_picture(c, file_name="C:\\a.png"), r"may lead out"),
    "a width as text": (lambda c: of_picture(c, width="64"), r"width = '64' in images\[1\] \(id 101\)"),
    "a fraction as width": (lambda c: of_picture(c, width=64.5), r"width = 64\.5 in images\[1\]"),
    "no classes": (lambda c: c["categories"].clear(), "no categories"),
    "a class without a name": (
        lambda c: c["categories"][0].update(name=None),
        r"name = None in categories\[0\]",
    ),
    "a missing picture": (
        lambda c: of_picture(c, file_name="gone.png"),
        r"1 of the 4 pictures .* missing: .*gone\.png \(id 101\).*data\.skip_missing=true",
    ),
    "other classes in validation": (
        lambda c: c["categories"][1].update(name="wolf"),
        r"differ: 'wolf' \(id 7\) in the first is 'dog' \(id 7\) in the second",
    ),
    "more classes in training": (
        lambda c: c["categories"].append({"id": 11, "name": "fox"}),
        r"'fox' \(id 11\) in the first is no class in the second \(4 and 3",
    ),
    "swapped sides": (lambda c: of_picture(c, width=48, height=64), r"Picture 101 .*64x48.*48x64.*swapped"),
    "another size": (lambda c: of_picture(c, width=640, height=480), r"Picture 101 .*64x48.*640x480"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_used_is_named_with_file_and_id(tmp_path, change, message):
    with pytest.raises(DataError, match=message) as refused:
        opened(written(tmp_path, change))
    assert ".json" in str(refused.value) or ".png" in str(refused.value)


def test_numbers_from_0_and_gaps_in_class_ids_are_fine(tmp_path):
    def change(content: Content) -> None:
        for listing in ("images", "annotations", "categories"):
            for number, record in enumerate(content[listing]):
                record["id"] = number * (5 if listing == "categories" else 1)
        for number, record in enumerate(content["annotations"]):
            record.update(image_id=number // 2, category_id=5 * (number % 3))

    content = coco()
    change(content)
    data = opened(write_coco(tmp_path, train=content, validation=content))
    assert data.classes.ids == (0, 5, 10)
    assert data.train.boxes.labels_N.tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert data.train.picture_ids[0] == 0


def test_texts_as_ids_are_fine(tmp_path):
    content = coco(2)
    for record in content["images"]:
        record["id"] = f"picture {record['id']}"
    for record in content["categories"]:
        record["id"] = record["name"]
    for record in content["annotations"]:
        record.update(image_id=f"picture {record['image_id']}", id=f"box {record['id']}")
        record["category_id"] = {3: "cat", 7: "dog", 9: "owl"}[record["category_id"]]
    data = opened(write_coco(tmp_path, train=content, validation=content))
    assert data.train.picture_ids == ("picture 100", "picture 101")
    assert data.classes.ids == ("cat", "dog", "owl")
    assert data.train.boxes.labels_N.tolist() == [1, 2, 3, 1]


def test_missing_crowd_and_area_are_filled_in(tmp_path):
    def change(content: Content) -> None:
        for record in content["annotations"]:
            del record["area"], record["iscrowd"]
        first(content, area=None, iscrowd=None)

    boxes = opened(written(tmp_path, change)).train.boxes
    assert boxes.areas_N.tolist() == [200, 192] * 4
    assert not boxes.is_crowd_N.any()


def test_boxes_that_are_not_finite_are_left_out_and_said_once(tmp_path, caplog):
    def change(content: Content) -> None:
        for place, value in enumerate((math.nan, math.inf, -math.inf, None)):
            content["annotations"][place]["bbox"][place] = value
        content["annotations"][4]["bbox"] = [10, 10, -5, 4]

    data = opened(written(tmp_path, change))
    assert len(data.train.boxes) == 3 and data.train.boxes.offsets.tolist() == [0, 0, 0, 1, 3]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("4 boxes are left out") and "annotations[0] (id 1) of picture 100" in said[0]
    assert said[1].startswith("1 boxes are left out, because width or height is negative: [10.0, 10.0, -5.0")


def test_boxes_are_clipped_for_training_and_not_for_evaluation(tmp_path, caplog):
    def change(content: Content) -> None:
        first(content, bbox=[-10, 40, 30, 30])
        content["annotations"][1]["bbox"] = [5, 5, 0, 10]
        content["annotations"][3]["bbox"] = [100, 100, 9, 9]
        content["annotations"][5]["bbox"] = [10, 10, 0.5, 20]

    data = opened(written(tmp_path, change))
    chosen = data.for_training()
    assert data.train.boxes.boxes_N4[0].tolist() == [-10, 40, 20, 70] and len(data.train.boxes) == 8
    assert chosen.split.boxes.boxes_N4[0].tolist() == [0, 40, 20, 48] and len(chosen.split.boxes) == 5
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("1 boxes reach out of their picture") and "picture 100 (64x48)" in said[0]
    assert said[1].startswith("3 boxes have less than 1 pixel")


def test_a_picture_whose_boxes_are_all_unusable_is_not_trained_on(tmp_path, caplog):
    def change(content: Content) -> None:
        for record in content["annotations"][:2]:
            record["iscrowd"] = 1
        del content["annotations"][2:4]

    chosen = opened(written(tmp_path, change)).for_training()
    # Picture 0 has crowds alone; picture 1 has nothing, which is an example of nothing.
    assert chosen.numbers.tolist() == [1, 2, 3]
    assert "1 pictures are left out of training" in caplog.text and "100" in caplog.text


NOTHING_LEFT: dict[str, tuple[Change, str]] = {
    "no boxes": (lambda c: c["annotations"].clear(), "no usable box"),
    "crowds": (
        lambda c: [record.update(iscrowd=1) for record in c["annotations"]],
        r"All 8 boxes of .*instances_train2017\.json are crowds",
    ),
    "fractions": (
        lambda c: [record.update(bbox=[0.1, 0.2, 0.3, 0.4]) for record in c["annotations"]],
        "not fractions of the picture",
    ),
    "NaN": (
        lambda c: [record.update(bbox=[math.nan] * 4) for record in c["annotations"]],
        "no usable box",
    ),
}


@pytest.mark.parametrize(("change", "message"), NOTHING_LEFT.values(), ids=NOTHING_LEFT.keys())
def test_with_nothing_to_train_on_training_is_refused_and_opening_is_not(tmp_path, change, message):
    data = opened(written(tmp_path, change))
    with pytest.raises(DataError, match=message):
        data.for_training()


def test_no_pictures_are_refused(tmp_path):
    root = written(tmp_path, lambda c: (c["images"].clear(), c["annotations"].clear()))
    with pytest.raises(DataError, match=r"instances_train2017\.json has no images"):
        opened(root)


def test_classes_without_boxes_are_named(tmp_path, caplog):
    opened(written(tmp_path, lambda c: [record.update(category_id=7) for record in c["annotations"]]))
    assert "2 of the 3 classes have no box: 'cat', 'owl'" in caplog.text


def test_missing_pictures_may_be_left_out_with_their_boxes(tmp_path, caplog):
    root = write_coco(tmp_path)
    (root / "train2017" / "0001.png").unlink()
    train = opened(root, skip_missing=True).train
    assert train.picture_ids == (100, 102, 103)
    assert train.boxes.labels_N.tolist() == [1, 2, 2, 3, 1, 2] and train.boxes.offsets.tolist() == [
        0,
        2,
        4,
        6,
    ]
    assert "1 of the 4 pictures" in caplog.text and "(id 101)" in caplog.text


def test_when_no_picture_is_there_their_folder_is_asked_for(tmp_path):
    root = write_coco(tmp_path)
    shutil.rmtree(root / "train2017")
    (root / "train2017").mkdir()
    with pytest.raises(DataError, match=r"[Ss]et data\.train_pictures|missing"):
        opened(root)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DataError, match=r"None of the 4 pictures .* data\.train_pictures"):
        opened(root, train_pictures="elsewhere")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_can_not_be_decoded_is_found_early(tmp_path, content):
    root = write_coco(tmp_path)
    (root / "train2017" / "0002.png").write_bytes(content)
    with pytest.raises(DataError, match=r"^Picture 102: .*0002\.png can't be decoded"):
        opened(root)


def test_a_picture_that_ends_early_is_found_early(tmp_path):
    root = write_coco(tmp_path)
    path = root / "train2017" / "0002.png"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"^Picture 102: .*0002\.png can't be decoded"):
        opened(root)


def test_sizes_that_are_missing_or_minus_one_are_read_from_the_files(tmp_path, caplog):
    def change(content: Content) -> None:
        of_picture(content, width=-1, height=-1)
        del content["images"][2]["width"]

    train = opened(written(tmp_path, change)).train
    assert train.sizes_P2.tolist() == [list(SIZE)] * 4
    assert "2 pictures have no usable width and height, such as 101" in caplog.text


def turned(number: int) -> Image.Image:
    """A picture that is stored lying and is to be seen standing."""
    image = picture(number)
    exif = image.getexif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    return image


def jpeg_set(root: Path, size: tuple[int, int]) -> Path:
    content = coco(size=size)
    for record in content["images"]:
        record["file_name"] = record["file_name"].replace("png", "jpg")
    root = write_coco(root, train=content)
    for number, record in enumerate(content["images"]):
        image = turned(number)
        image.save(root / "train2017" / record["file_name"], exif=image.info["exif"])
    return root


def test_exif_orientation_is_applied_before_sizes_are_compared(tmp_path):
    assert opened(jpeg_set(tmp_path / "right", (48, 64))).train.num_pictures == 4
    with pytest.raises(
        DataError, match=r"Picture 100 .*48x64.*64x48: width and height are swapped once its EXIF"
    ):
        opened(jpeg_set(tmp_path / "wrong", (64, 48)))


def test_boxes_of_corners_in_a_coco_file_are_refused_until_the_format_is_set(tmp_path):
    corners = [(30 + place % 9, 20 + place % 7, 50 + place % 9, 40 + place % 7) for place in range(8)]
    root = write_coco(tmp_path, train=coco(boxes=corners))
    with pytest.raises(DataError, match=r"left, top, right, bottom.*Set data\.box_format to xyxy"):
        opened(root)
    boxes = opened(root, box_format="xyxy", validation_annotations="annotations/instances_train2017.json")
    assert boxes.train.boxes.boxes_N4[0].tolist() == [30, 20, 50, 40]


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "I;16"])
def test_pictures_of_every_colour_mode_open(tmp_path, mode):
    def draw(number: int) -> Image.Image:
        if mode == "I;16":
            return Image.fromarray(np.full((SIZE[1], SIZE[0]), 40_000, dtype=np.uint16))
        return picture(number).convert("L").convert(mode) if mode == "LA" else picture(number, mode=mode)

    assert opened(write_coco(tmp_path, draw=draw)).train.num_pictures == 4


def test_logs_come_once_for_each_split(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        opened(written(tmp_path, lambda c: first(c, bbox=[math.nan, 0, 1, 1])))
    assert len(caplog.records) == 1
