"""Decoding: sizes, colours and corrupt images."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raynas.data import decode, pixels
from raynas.data.decode import EncodedImage, decode_images
from raynas.errors import DataError
from tests.data.builders import encoded, picture

FILE = Path("set.parquet")


def as_rows(*contents: bytes) -> list[EncodedImage]:
    return [EncodedImage(FILE, row, content) for row, content in enumerate(contents)]


def decoded(*images: Image.Image, kind: str = "PNG", image_size: int | None = None) -> np.ndarray:
    return sound(as_rows(*[encoded(image, kind) for image in images]), image_size=image_size)


def sound(images: list[EncodedImage], *, image_size: int | None = None) -> np.ndarray:
    """The pixels of images of which none may be broken."""
    found = decode_images(images, image_size=image_size)
    if found.broken:
        raise next(iter(found.broken.values()))
    assert found.places_N.tolist() == list(range(len(images)))
    return found.images_NHWC


def noise(size: tuple[int, int] = (9, 9), seed: int = 0) -> Image.Image:
    values_HWC = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values_HWC)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_pixel(kind):
    np.testing.assert_array_equal(decoded(noise(), kind=kind)[0], np.asarray(noise()))


def test_lossless_webp_keeps_every_pixel(tmp_path):
    noise().save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(
        sound([EncodedImage(tmp_path / "a.webp")], image_size=None)[0], np.asarray(noise())
    )


def test_order_is_kept_over_many_tasks():
    found = decoded(*[picture(value) for value in range(256)])
    assert found[:, 0, 0, 0].tolist() == list(range(256))


def test_grey_images_have_one_channel():
    found = decoded(picture(7, mode="L"), picture(9, mode="L"))
    assert found.shape == (2, 8, 8, 1)
    assert found[:, 0, 0, 0].tolist() == [7, 9]


def test_grey_among_colour_becomes_rgb():
    found = decoded(picture(7, mode="L"), picture(9))
    assert found.shape == (2, 8, 8, 3)
    assert found[0, 0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGBA", "CMYK"])
def test_other_modes_are_converted(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = decoded(picture(255).convert(mode), kind=kind)
    assert found.shape[3] == (1 if mode in ("1", "LA") else 3)
    assert found.min() == 255


def test_palette_with_transparency_gives_no_warning(tmp_path):
    picture(255).convert("P").save(tmp_path / "a.png", transparency=bytes([0, 128]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sound([EncodedImage(tmp_path / "a.png")], image_size=None).shape == (1, 8, 8, 3)


def test_sixteen_bit_grey_is_scaled_and_not_cut():
    image = Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16))
    assert np.unique(decoded(image)).tolist() == [0x80]


@pytest.mark.parametrize("value", [np.float32(0.5), np.int32(70_000)])
def test_pixels_of_unknown_range_are_refused(value):
    with pytest.raises(DataError, match=r"row 0 .* can't be decoded: its pixels are"):
        decoded(Image.fromarray(np.full((8, 8), value)), kind="TIFF")


def test_common_square_size_is_kept():
    assert decoded(noise((9, 9), 1), noise((9, 9), 2)).shape == (2, 9, 9, 3)


def test_mixed_sizes_take_the_median_short_side():
    found = decoded(picture(size=(10, 30)), picture(size=(40, 12)), picture(size=(50, 50)))
    assert found.shape == (3, 12, 12, 3)


def test_given_size_rules():
    assert decoded(picture(size=(10, 30)), picture(size=(8, 8)), image_size=5).shape == (2, 5, 5, 3)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(4, 40), st.integers(4, 40)), min_size=1, max_size=6))
def test_found_size_lies_between_the_short_sides(sizes):
    size = decoded(*[picture(size=size) for size in sizes]).shape[1]
    assert min(map(min, sizes)) <= size <= max(map(min, sizes))


def test_wide_images_are_cropped_around_the_centre():
    values_HW = np.repeat(np.array([[0] * 10 + [200] * 10 + [0] * 10], dtype=np.uint8), 10, axis=0)
    assert np.unique(decoded(Image.fromarray(values_HW))).tolist() == [200]


@pytest.mark.parametrize("size", [(3, 8), (8, 3), (1, 1)])
def test_image_smaller_than_4_pixels_is_refused(size):
    with pytest.raises(DataError, match=rf"row 1 .*set\.parquet has {size[0]}x{size[1]} pixels"):
        decoded(picture(), picture(size=size))


def test_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 99)
    with pytest.raises(DataError, match=r"row 0 .* has 10x10 pixels; at most 99"):
        decoded(picture(size=(10, 10)))


def test_limit_of_pixels_lies_below_the_one_of_pillow():
    assert Image.MAX_IMAGE_PIXELS is not None
    assert pixels.MAX_PIXELS < Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"not an image", b"RIFF\x00\x00\x00\x00WEBPVP8L"])
def test_corrupt_image_names_file_and_row(content):
    with pytest.raises(DataError, match=r"row 1 \(counted from 0\) of set\.parquet can't be decoded"):
        sound(as_rows(encoded(picture()), content), image_size=None)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM"]), data=st.data())
def test_damaged_bytes_decode_or_raise_data_error(kind, data):
    content = bytearray(encoded(noise(), kind))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(content)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(DataError):
            images_NHWC = sound(as_rows(bytes(content[:cut])), image_size=8)
            assert images_NHWC.shape[:3] == (1, 8, 8)


def test_formats_that_start_other_programs_are_refused():
    with pytest.raises(DataError, match=r"in none of the formats PNG, JPEG"):
        sound(as_rows(encoded(picture(), "EPS")), image_size=None)


def test_more_memory_than_there_is_is_refused(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(DataError, match=r"0\.0 GB of memory.*data\.image_size"):
        decoded(picture())
