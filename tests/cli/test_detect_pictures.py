"""`raynas detect`: pictures that it takes, and those that are missing, damaged or turned."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.cli.detect_calls import plan_of, refused
from tests.detection.coco_sets import picture, write_coco

pytestmark = pytest.mark.usefixtures("elsewhere")


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
