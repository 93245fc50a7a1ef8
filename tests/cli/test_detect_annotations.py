"""`raynas detect`: annotations that it refuses, by file, id and value, and those that it mends."""

from __future__ import annotations

import pytest

from tests.cli.detect_calls import plan_of, refused
from tests.detection.coco_sets import coco, write_coco

pytestmark = pytest.mark.usefixtures("elsewhere")


def changed(**fields):
    """COCO's content with fields of its first annotation changed; None leaves one out."""
    content = coco()
    first = content["annotations"][0]
    for name, value in fields.items():
        first[name] = value
        if value is None:
            del first[name]
    return content


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


@pytest.mark.parametrize("boxes", [[], [{**one, "iscrowd": 1} for one in coco(2)["annotations"]]])
def test_validation_without_a_box_to_measure_by_is_refused(tmp_path, boxes):
    data = write_coco(tmp_path / "data", validation={**coco(2), "annotations": boxes})
    text = refused(data)
    assert "instances_val2017.json has no box to measure by" in text and f"{len(boxes)} boxes" in text
