"""A few broken images are left out with a word; more are refused, and all of them are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raynas.data import DataConfig, ImageSplit, load_split
from raynas.data.decode import EncodedImage
from raynas.data.stream.transforms import EvalTransform, TrainTransform
from raynas.errors import DataError

NUM_IMAGES = 40


def folder_of(root: Path, broken: dict[int, bytes]) -> Path:
    """Two classes of twenty pictures of ten pixels, some of which are replaced by other bytes."""
    for number in range(NUM_IMAGES):
        path = root / f"pictures/{'cat' if number % 2 else 'dog'}/{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (10, 10), number).save(path)
        if number in broken:
            path.write_bytes(broken[number])
    return root / "pictures"


def load(folder: Path, **settings: object) -> ImageSplit:
    return load_split(DataConfig(source=str(folder), **settings), seed=0)


def values(split: ImageSplit) -> list[int]:
    both = np.concatenate([split.train_images_NHWC, split.validation_images_NHWC])
    return sorted(both[:, 0, 0, 0].tolist())


def test_a_few_are_left_out_and_told(tmp_path):
    # Empty, and cut off within its pixels, which its header doesn't show.
    whole = load(folder_of(tmp_path, {}))
    cut = (tmp_path / "pictures/cat/07.png").read_bytes()[:-30]
    split = load(folder_of(tmp_path, {4: b"", 7: cut}), max_broken=0.05)
    assert values(split) == sorted(set(range(NUM_IMAGES)) - {4, 7})
    assert (split.train_labels_N == split.train_images_NHWC[:, 0, 0, 0] % 2 ^ 1).all()
    assert len(values(whole)) == NUM_IMAGES
    (line,) = [line for line in split.described() if line.startswith("left out")]
    assert line.startswith("left out: 2 images that can't be used (The image in ")


def test_more_are_refused_and_all_named(tmp_path):
    folder = folder_of(tmp_path, dict.fromkeys((1, 4, 7), b"no picture"))
    with pytest.raises(
        DataError, match=r"^3 of 40 images of pictures can't be used\. data\.max_broken = 0\.05"
    ) as error:
        load(folder, max_broken=0.05)
    assert [f"{number:02}.png" in str(error.value) for number in (1, 4, 7, 9)] == [True, True, True, False]


def test_one_is_too_many_by_default_among_forty(tmp_path):
    with pytest.raises(DataError, match=r"dog/04\.png can't be decoded.*data\.max_broken = 0\.01 is"):
        load(folder_of(tmp_path, {4: b""}))


def test_a_data_set_of_broken_images_is_refused_whatever_is_allowed(tmp_path):
    folder = folder_of(tmp_path, dict.fromkeys(range(NUM_IMAGES), b""))
    with pytest.raises(DataError, match="can't be decoded"):
        load(folder, max_broken=1)


@pytest.mark.parametrize(("given", "expected"), [(None, 64), (100, 100), (16, 16)])
def test_images_of_a_search_are_small_unless_a_size_is_given(tmp_path, given, expected):
    for number in range(20):
        path = tmp_path / f"pictures/{number % 2}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (90, 70), number).save(path)
    split = load(tmp_path / "pictures", image_size=given)
    assert split.image_size == expected
    assert f"at {expected}x{expected} pixels (data.image_size)" in split.described()[-1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_a_camera_turned_is_trained_on_upright(tmp_path, orientation):
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels_HWC).save(tmp_path / "turned.png", exif=exif)
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    upright = Image.fromarray(pixels_HWC)
    if turn is not None:
        upright = upright.transpose(Image.Transpose(turn))
    upright.save(tmp_path / "upright.png")
    for transform in (TrainTransform(16, flip=False), EvalTransform(16)):
        turned, expected = (
            transform(EncodedImage(tmp_path / f"{name}.png"), np.random.default_rng(1))
            for name in ("turned", "upright")
        )
        np.testing.assert_array_equal(turned, expected)
