"""Records of COCO: ids and fields that can not be used are named with file, id and value."""

from __future__ import annotations

import pytest

from raynas.errors import DataError
from tests.detection.coco_sets import (
    Change,
    Content,
    coco,
    first_box,
    opened,
    second_picture,
    write_coco,
    written,
)

REFUSED: dict[str, tuple[Change, str]] = {
    "a picture id twice": (
        lambda c: second_picture(c, id=100),
        r"the id 100 twice: images\[0\] and images\[1\]",
    ),
    "a box id twice": (
        lambda c: first_box(c, id=2),
        r"the id 2 twice: annotations\[0\] and annotations\[1\]",
    ),
    "a class id twice": (lambda c: c["categories"][1].update(id=3), r"the id 3 twice: categories\[0\]"),
    "an unknown picture": (
        lambda c: first_box(c, image_id=999),
        r"image_id = 999 in annotations\[0\] \(id 1\).*among its 4 images",
    ),
    "an unknown class": (
        lambda c: first_box(c, category_id=4),
        r"category_id = 4 in annotations\[0\] \(id 1\) of picture 100.*Known: 3, 7, 9",
    ),
    "a text for a number": (
        lambda c: first_box(c, image_id="100"),
        r"image_id = '100' .* 100 is there: write texts and numbers alike",
    ),
    "no picture id": (lambda c: c["annotations"][0].pop("image_id"), r"no 'image_id' in annotations\[0\]"),
    "no id": (lambda c: c["images"][2].pop("id"), r"no 'id' in images\[2\]"),
    "a fraction as id": (lambda c: second_picture(c, id=1.5), r"id = 1\.5 in images\[1\]"),
    "a null as id": (lambda c: second_picture(c, id=None), r"id = None in images\[1\]"),
    "a truth value as id": (lambda c: second_picture(c, id=True), r"id = True in images\[1\]"),
    "an endless id": (lambda c: second_picture(c, id=10**30), r"id = 1000"),
    "three numbers": (
        lambda c: first_box(c, bbox=[1, 2, 3]),
        r"bbox = \[1, 2, 3\] in annotations\[0\] \(id 1\)",
    ),
    "a box of texts": (lambda c: first_box(c, bbox=["1", 2, 3, 4]), r"bbox = '1' in annotations\[0\]"),
    "a box of truth values": (lambda c: first_box(c, bbox=[True, 2, 3, 4]), r"bbox = True"),
    "no box": (lambda c: c["annotations"][0].pop("bbox"), r"no 'bbox' in annotations\[0\] \(id 1\)"),
    "beyond 32-bit floats": (
        lambda c: first_box(c, bbox=[1, 2, 1e39, 4]),
        r"bbox = 1e\+39 in annotations\[0\]",
    ),
    "an integer beyond floats": (lambda c: first_box(c, bbox=[1, 2, 10**400, 4]), r"bbox = 1000"),
    "a wrong crowd": (lambda c: first_box(c, iscrowd=2), r"iscrowd = 2 in annotations\[0\] \(id 1\)"),
    "a crowd as text": (lambda c: first_box(c, iscrowd="1"), r"iscrowd = '1'"),
    "an area as text": (lambda c: first_box(c, area="big"), r"area = 'big'"),
    "no file name": (lambda c: c["images"][1].pop("file_name"), r"no 'file_name' in images\[1\] \(id 101\)"),
    "an empty file name": (lambda c: second_picture(c, file_name=""), r"file_name = '' in images\[1\]"),
    "a way out": (lambda c: second_picture(c, file_name="../../etc/passwd"), r"file_name = '\.\./\.\./etc"),
    "a whole path": (lambda c: second_picture(c, file_name="/etc/passwd"), r"file_name = '/etc/passwd'"),
    "an address": (
        lambda c: second_picture(c, file_name="https://images.org/1.png"),
        r"file_name = 'https://images\.org/1\.png', which is an address",
    ),
    "a drive": (lambda c: second_picture(c, file_name="C:\\a.png"), r"may lead out"),
    "a width as text": (lambda c: second_picture(c, width="64"), r"width = '64' in images\[1\] \(id 101\)"),
    "a fraction as width": (lambda c: second_picture(c, width=64.5), r"width = 64\.5 in images\[1\]"),
    "no classes": (lambda c: c["categories"].clear(), "no categories"),
    "a class without a name": (
        lambda c: c["categories"][0].update(name=None),
        r"name = None in categories\[0\]",
    ),
    "a missing picture": (
        lambda c: second_picture(c, file_name="gone.png"),
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
    "swapped sides": (
        lambda c: second_picture(c, width=48, height=64),
        r"Picture 101 .*64x48.*48x64.*swapped",
    ),
    "another size": (lambda c: second_picture(c, width=640, height=480), r"Picture 101 .*64x48.*640x480"),
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
        first_box(content, area=None, iscrowd=None)

    boxes = opened(written(tmp_path, change)).train.boxes
    assert boxes.areas_N.tolist() == [200, 192] * 4
    assert not boxes.is_crowd_N.any()
