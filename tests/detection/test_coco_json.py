"""What is no file of COCO is named; the text of one is read to its end."""

from __future__ import annotations

import json

import pytest

from raynas.detection.data.coco_json import read_coco
from raynas.errors import DataError
from tests.detection.coco_sets import coco

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
