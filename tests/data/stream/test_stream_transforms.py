"""Transforms turn images of any mode and size into pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raynas.data.decode import EncodedImage
from raynas.data.stream import EvalTransform, RandAugment, TrainTransform
from raynas.data.stream.randaugment import AUGMENTATIONS
from raynas.data.stream.transforms import random_box
from raynas.errors import DataError
from raynas.models.preprocess import Preprocessing


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> EncodedImage:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return EncodedImage(Path("a"), 0, stream.getvalue())


def gradient(width: int = 90, height: int = 60) -> Image.Image:
    pixels = np.indices((height, width)).transpose(1, 2, 0) * 2
    return Image.fromarray(np.concatenate([pixels, pixels[..., :1]], axis=2).astype(np.uint8))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


ODD = {
    "grey": encoded(Image.new("L", (40, 30), 200)),
    "grey with alpha": encoded(Image.new("LA", (40, 30), (200, 255))),
    "palette": encoded(Image.new("RGB", (40, 30), (200, 200, 200)).quantize(4)),
    "CMYK": encoded(Image.new("RGB", (40, 30), (200, 200, 200)).convert("CMYK"), "JPEG"),
    "16 bit": encoded(Image.fromarray(np.full((30, 40), 200 << 8, dtype=np.uint16))),
    "grey JPEG": encoded(Image.new("L", (40, 30), 200), "JPEG"),
    "WebP": encoded(Image.new("RGB", (40, 30), (200, 200, 200)), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("transform", [TrainTransform(16), EvalTransform(16)])
def test_any_mode_becomes_rgb_of_the_same_brightness(name, transform):
    pixels_HWC = transform(ODD[name], rng())
    assert pixels_HWC.shape == (16, 16, 3)
    assert abs(pixels_HWC.astype(int) - 200).max() <= 2


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (33, 33), (20, 200)])
def test_evaluation_cuts_what_preprocessing_cuts(size):
    image, transform = gradient(*size), EvalTransform(24, crop_fraction=0.875)
    expected_CHW = Preprocessing(24, 0.875, mean=(0.0,) * 3, std=(1.0,) * 3)(image) * 255
    pixels_HWC = transform(encoded(image), rng())
    assert abs(pixels_HWC - expected_CHW.permute(1, 2, 0).numpy()).max() <= 1.01


def test_a_box_lies_within_the_image_and_has_the_asked_area():
    for seed in range(200):
        left, top, right, bottom = random_box(90, 60, 0.25, rng(seed))
        assert 0 <= left < right <= 90 and 0 <= top < bottom <= 60
        assert (right - left) * (bottom - top) >= 0.25 * 90 * 60 * 0.9
        assert 0.7 <= (right - left) / (bottom - top) <= 1.4


@pytest.mark.parametrize(("width", "height"), [(1, 1), (4, 400), (400, 4)])
def test_there_is_a_box_in_every_image(width, height):
    left, top, right, bottom = random_box(width, height, 0.08, rng())
    assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_a_large_jpeg_is_decoded_small_and_looks_the_same():
    image = gradient(120, 100).resize((960, 800), Image.Resampling.BICUBIC)
    plain, quick = (TrainTransform(32)(encoded(image, kind), rng(3)) for kind in ("PNG", "JPEG"))
    assert np.abs(plain.astype(int) - quick).mean() < 3


@pytest.mark.parametrize(
    "transform",
    [
        TrainTransform(32),
        TrainTransform(32, color_jitter=0.4),
        TrainTransform(32, rand_augment=RandAugment()),
    ],
)
def test_the_random_generator_alone_decides(transform):
    image = encoded(gradient())
    first, again, other = (transform(image, rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("operation", AUGMENTATIONS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_every_operation_keeps_size_and_mode(operation, sign):
    for strength in (0.0, 0.5, 1.0):
        changed = operation(gradient(), strength, sign)
        assert (changed.size, changed.mode) == ((90, 60), "RGB")


def test_a_corrupt_image_is_named():
    jpeg = encoded(gradient(), "JPEG").content
    assert jpeg is not None
    image = EncodedImage(Path("train-00000.parquet"), 7, jpeg[:200])
    with pytest.raises(DataError, match=r"row 7 .*train-00000\.parquet can't be decoded"):
        TrainTransform(16)(image, rng())
