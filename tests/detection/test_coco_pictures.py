"""The pictures of COCO folders: missing, damaged, turned by EXIF, of other sizes and colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raynas.errors import DataError
from tests.detection.coco_sets import (
    SIZE,
    Content,
    coco,
    opened,
    picture,
    second_picture,
    write_coco,
    written,
)


def test_file_names_in_another_case_are_told(tmp_path):
    root = written(tmp_path, lambda c: [r.update(file_name=r["file_name"].upper()) for r in c["images"]])
    with pytest.raises(DataError, match=r"'0000\.PNG' is not in .*0000\.png is there: upper and lower case"):
        opened(root)


def test_a_file_of_two_pictures_is_told(tmp_path, caplog):
    data = opened(written(tmp_path, lambda c: second_picture(c, file_name="0000.png")))
    assert data.train.num_pictures == 4
    assert "1 pictures have a file that another has" in caplog.text


def test_no_pictures_are_refused(tmp_path):
    root = written(tmp_path, lambda c: (c["images"].clear(), c["annotations"].clear()))
    with pytest.raises(DataError, match=r"instances_train2017\.json has no images"):
        opened(root)


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
        second_picture(content, width=-1, height=-1)
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


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "I;16"])
def test_pictures_of_every_colour_mode_open(tmp_path, mode):
    def draw(number: int) -> Image.Image:
        if mode == "I;16":
            return Image.fromarray(np.full((SIZE[1], SIZE[0]), 40_000, dtype=np.uint16))
        return picture(number).convert("L").convert(mode) if mode == "LA" else picture(number, mode=mode)

    assert opened(write_coco(tmp_path, draw=draw)).train.num_pictures == 4
